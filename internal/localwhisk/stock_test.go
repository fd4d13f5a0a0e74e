package localwhisk

import (
	"strings"
	"testing"
)

// TestStock checks that functions take the stem cells of a stock of their kind and memory, and nobody else does.
func TestStock(t *testing.T) {
	withStock := func(t *testing.T, change func(*Config)) *controlled {
		c := control(t, exactWith(change))
		for _, f := range []Function{
			{Name: "stock", MemoryMB: 256, Kind: "nodejs:20", StemCell: true},
			{Name: "node", MemoryMB: 256, Kind: "nodejs:20", Handler: sleepSecond},
		} {
			if err := c.Deploy(f); err != nil {
				t.Fatal(err)
			}
		}
		return c
	}
	t.Run("an invocation takes the oldest", func(t *testing.T) {
		c := withStock(t, func(c *Config) { c.MemoryMB, c.IdleTimeout = 1024, 20_000_000_000 })
		c.start(0, "stock")
		c.start(100, "stock")
		c.invoke(4000, "f") // of another kind
		c.invoke(5000, "node")
		c.at(5010, func() {
			if c.creating != 1 {
				t.Errorf("%d containers count as being created, want that of f", c.creating)
			}
		})
		c.run(
			"0 starting stock 1 policy", "100 starting stock 2 policy", "2000 idle stock 1", "2100 idle stock 2",
			"4000 arrived f", "4004 placed f 3 cold", "5000 arrived node", "5004 removed stock 1 platform", "5004 placed node 4 cold",
			"5204 started node 4 204 150", "6154 started f 3 2154 150", "6204 ended node 4", "6224 idle node 4", "7154 ended f 3", "7174 idle f 3",
			"22100 removed stock 2 platform", "26224 removed node 4 platform", "27174 removed f 3 platform",
		)
		for _, u := range c.Usage() {
			switch {
			case u.Function == "stock" && !sameUsage(u, Usage{Function: "stock", Starting: 256 * 4, Idle: 256 * (3.004 + 20), Created: 2, Wasted: 1}),
				u.Function == "node" && !sameUsage(u, Usage{Function: "node", Starting: 256 * 0.2, Busy: 256 * 1.02, Idle: 256 * 20, Created: 1, Cold: 1}):
				t.Errorf("usage %+v", u)
			}
		}
	})
	t.Run("it is started for nobody from one", func(t *testing.T) {
		c := withStock(t, func(*Config) {})
		c.start(0, "stock")
		c.start(3000, "node")
		c.at(4000, func() { c.do(0, c.GiveBack(2)) })
		c.run(
			"0 starting stock 1 policy", "2000 idle stock 1", "3000 removed stock 1 platform", "3000 starting node 2 policy", "3200 idle node 2", "4000 removed node 2 policy",
		)
	})
	t.Run("it is not evicted, and can be ranked, given back and undeployed", func(t *testing.T) {
		c := withStock(t, func(*Config) {})
		c.start(0, "stock")
		c.start(0, "stock")
		c.at(3000, func() {
			c.do(0, c.Rank(1, -5))
			if _, err := c.StartContainerEvicting("f"); err == nil || !strings.Contains(err.Error(), "not enough memory") {
				t.Errorf("error %v, want ErrMemory", err)
			}
			c.do(0, c.GiveBack(1))
			c.do(0, c.Undeploy("stock"))
		})
		c.start(4000, "node")
		c.at(7000, func() { c.do(0, c.GiveBack(3)) })
		c.run(
			"0 starting stock 1 policy", "0 starting stock 2 policy", "2000 idle stock 1", "2000 idle stock 2", "3000 removed stock 1 policy", "3000 removed stock 2 platform",
			"4000 starting node 3 policy", "6150 idle node 3", "7000 removed node 3 policy",
		)
	})
	t.Run("it is no function", func(t *testing.T) {
		c := withStock(t, func(*Config) {})
		if _, err := c.Invoke("stock", nil, nil); err == nil || err.Error() != "localwhisk: function stock is a stock of stem cells and cannot be invoked" {
			t.Errorf("error %v", err)
		}
		err := c.Deploy(Function{Name: "both", StemCell: true, Handler: sleepSecond})
		if err == nil || err.Error() != "localwhisk: function both is a stock of stem cells and has a handler" {
			t.Errorf("error %v", err)
		}
	})
}
