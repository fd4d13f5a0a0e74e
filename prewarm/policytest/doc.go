// Package policytest tests policies by short texts that say what happens on a platform and what is expected then:
//
//	# A container is kept for K after its last use.
//	policy keepalive:600
//	function main run=1 start=2
//
//	test a gap of exactly K is warm
//	at 0    arrive main expect cold
//	at 3    expect idle main 1
//	at 603  arrive main expect warm
//	at 1205 arrive main expect cold
//
// [Run] runs the files of a folder as a test. The platform that carries the decisions out is a small one, in which nothing is random and nothing
// takes time but what the text says.
//
// A file is a list of lines; # begins a comment. Times are in seconds since the beginning, or have a unit (4h, 1m30s). What stands before the first
// line "test NAME" holds for all tests of the file; a test can say more, or otherwise.
//
// # The platform
//
//	policy SPEC                            the policy, in the form of policy.New
//	seed N                                 its seed
//	platform [SETTING=VALUE]...            memory=MIB (not limited), idle-timeout=TIME|never (600), dispatch=TIME from an arrival to its
//	                                       placement (0), return=TIME from the end of a run until the container is idle (0), late=takes|own
//	                                       (takes); arrivals, warm, hold, give-back (each yes) and first-call (no) are yes or no: see
//	                                       prewarm.Platform
//	function NAME [SETTING=VALUE]...       memory=MIB (256), start=TIME until a container is ready (2), init=TIME the part of it that is its
//	                                       initialisation (all), run=TIME of an invocation that says nothing else (1), app=NAME,
//	                                       concurrency=N|unlimited invocations in a container at once (1), kind=NAME of its runtime.
//	                                       replicas=N: it has N containers at the beginning, others come and go by the policy's decisions
//	                                       alone, and invocations wait for one of them, or with refuse are refused.
//	                                       stock: it is a stock of stem cells, see prewarm.Function.StemCell. A second line changes a function.
//	recorded [app=NAME] N warm|cold CALL   the policy knows N such requests from before; all their containers were warm, or cold
//	recorded [app=NAME] gaps TIME...       and these times between requests
//
// An invocation gets the idle container of its function that became idle last; else, with late=takes, the oldest that is being started for nobody; else
// a stem cell; else a new container, for which idle ones are evicted if need be: the lowest rank first, then the one whose last use
// began first. If there is no room even then it waits, first come first served.
//
// # What happens, and what is expected
//
//	at TIME... [ACTION] [expect WHAT]...
//
// Several times stand for as many lines; +TIME is relative to the one before. The actions:
//
//	arrive CALL         a request arrives. CALL is FUNCTION [TIME] [(CALL, ...)]: it runs for TIME, and sends the calls in the brackets, each at
//	                    its end. Those may say @TIME, after its start instead, before their own brackets, and behind these xN, N times:
//	                    "main 1 (a 5, b 2 @0.1 (c) x3)". Several requests at once are as many times: "at 0 0 arrive main"
//	rate F N            requests arrive at F in even distances from now on, N a second, the first one now; 0 for no more
//	in-flight F N       N requests are kept in flight at F: those that are missing arrive, those that are too many end
//	cpu F CORES         the containers of F use so much of the processor, all together, from now on
//	queued F N          N messages are in the asynchronous queue of F
//	start-time F TIME   containers of F need TIME to start from now on
//
// A test must expect something. Expectations are compared with what is so at that time, after everything has happened that happens then: first starts and ends, then what the
// text does and what invocations send, removals of containers whose time has passed, and wakes of the policy. "Now" is the last microsecond.
//
//	warm|late|cold|refused [F [N]]               all invocations (of F) that were given a container now were given it so (N of them)
//	arrive|end|start|removed|evicted [F [N]]     so many have arrived, ended, been started, removed or evicted now; one at least without N
//	no-room [F [N]]                              so many containers could not be started because memory is full
//	victims [F]...                               containers of exactly these functions were evicted or removed now, in this order
//	quiet                                        nothing is started, removed or scaled now
//	wake [KEY]                                   the policy is asked again now because it wanted to be
//	count|starting|idle|busy|returning F N       there are N containers of F (in that state)
//	waiting F N                                  N invocations of F wait
//	replicas F N                                 N replicas of F are wanted
//	scale F N                                    and that was decided now
//	rank F X                                     a container of F was given the rank X now
//	run F SECONDS                                an invocation of F has begun to run now, and has waited so long
//	done [TIME]                                  a request is complete now, TIME after its arrival
//	idle-time|start-time [F] SECONDS             the containers (of F) have been idle, starting so long until now, all together
package policytest
