package openwhiskprocessor

import (
	"container/list"
	"time"

	"github.com/tppfaas/tppfaas/collector/openwhiskprocessor/internal/whisk"
)

// cache keeps the records used last, for a while.
type cache struct {
	config CacheConfig
	byID   map[string]*list.Element
	recent *list.List // of *cached, the newest first
}

type cached struct {
	id     string
	record whisk.Record
	until  time.Time
}

func newCache(config CacheConfig) *cache {
	return &cache{config: config, byID: map[string]*list.Element{}, recent: list.New()}
}

func (c *cache) put(id string, r whisk.Record, now time.Time) {
	if c.config.Size == 0 {
		return
	}
	if e, ok := c.byID[id]; ok {
		c.drop(e)
	}
	for len(c.byID) >= c.config.Size {
		c.drop(c.recent.Back())
	}
	c.byID[id] = c.recent.PushFront(&cached{id, r, now.Add(c.config.TTL)})
}

func (c *cache) get(id string, now time.Time) (whisk.Record, bool) {
	e, ok := c.byID[id]
	if !ok {
		return whisk.Record{}, false
	}
	entry := e.Value.(*cached)
	if now.After(entry.until) {
		c.drop(e)
		return whisk.Record{}, false
	}
	c.recent.MoveToFront(e)
	return entry.record, true
}

func (c *cache) drop(e *list.Element) {
	delete(c.byID, c.recent.Remove(e).(*cached).id)
}
