// Package oracle computes what the best policies could reach that know what no policy knows: costs of a recorded load under the oracles O1 to
// O4 and O6, and under ski rental (O5), which knows nothing and is a policy too, see [NewSki].
//
//	bounds, err := oracle.New(oracle.Workload{Functions: functions, Requests: requests, Until: 7200})
//	if err != nil {
//		return err
//	}
//	least := bounds.Clairvoyant(lambda)
//	chain := bounds.Chain(oracle.ChainOptions{}, lambda)
//	fmt.Println(result.J(lambda)/least.J(lambda), chain.AddedQuantile(0.95))
//
// # What goes in
//
// Nothing but values: when each request arrived, the tree of its calls with the delays and durations that they have when every container is
// warm, and for each function its memory m (MB) and start time c (s). Times are in seconds, costs in MB·s; λ is the price: what a second of
// waiting is worth, in MB·s.
//
// # How a load becomes gaps
//
// A container serves one invocation at a time. The all-warm schedule of a function's invocations, each of which needs a container
// from its start until it is ready for the next one, is dealt to containers, the most recently used first, as platforms do. What lies between two
// uses of a container is a gap g; the first use of each has none before it. Dealing so has the least cost of all ways to deal, for each cost
// that is concave in the gaps (of two uses that end before two others begin, the later end with the earlier begin gives the most unequal gaps of
// the same sum), and those of O1 and O2 are, as long as all runs of a function make calls, or none of them does, or f is 0. A waiting invocation does not move the schedule: gaps are those of a load without waiting.
//
// # The cost
//
// J = idle + starting + λ·Σ wait, where idle and starting are the memory of containers times the time for which they are so, and wait is that of
// every invocation, the slower first call of a fresh container (if it makes one) included. Starting a container costs m·c + κ; κ is 0 unless
// a function has a fixed cost. Memory is charged until Workload.Until. With f for what the first call costs, and G for the gaps:
//
//	O1  Σ min(m·g, m·c + κ + λ·f)                        wait only for first calls            Bounds.Clairvoyant
//	O2  Σ min(m·g, m·c + κ + λ·(max(0, c − H) + f))      knows arrivals H seconds ahead       Bounds.LookAhead
//	O3  wait(v) = max(0, c − (need(v) − t0))             knows the tree once the root came    Bounds.Chain
//	O4  min over K of Σ cost(K, g)                       one keep-alive for each function     Bounds.BestKeepAlive
//	O5  K* = (m·c + κ + λ·(c + f))/m                     knows nothing                        Bounds.SkiRental, NewSki
//	O6  min over (PW, END) of Σ cost(PW, END, g)         knows the distribution of the gaps   Bounds.Known
//
// where cost(K, g) is m·g for g ≤ K, and m·K + m·c + κ + λ·(c + f) otherwise.
//
// # What is a bound of what
//
//   - O1 is the least of idle + starting that a policy can have under which no invocation waits for a container. It bounds J of all policies on platforms
//     where an invocation never waits for a busy container; a queue can do better where λ times a short wait is less than a start. It is a
//     point, not a curve over λ, where f is 0.
//   - O2 is that for policies which learn of an arrival at most H before it; with H = 0 the best decision, gap by gap, of whether to keep
//     a container.
//   - O3 bounds what begins with the root's start: policies that start containers for a request once it is there. With ChainOptions.Hindsight
//     they may keep containers from one request to the next as well, each gap's decision made knowing its length. J(O3) − J(O1) is what a
//     forecast of requests can still gain.
//   - O4 and O6 bound policies with one keep-alive, or one pair of times, for each function. A policy that adapts can be better.
//   - O5 is no lower bound: it costs at most twice O2 with H = 0, whatever the load, so that whoever learns must do better.
//
// Limits on memory are left out. That leaves O1, O2 and O3 with Hindsight below what is possible with a limit, so that they bound it still, if
// loosely. O4, O5 and O6 bound nothing there: less memory is not a smaller K. All are bounds only of platforms whose starts take at least
// c, and as far as waiting does not change the schedule: a request that is served late leaves shorter gaps behind it.
package oracle
