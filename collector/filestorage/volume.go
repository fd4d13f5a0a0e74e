package filestorage

import (
	"fmt"
	"sync"

	"go.opentelemetry.io/collector/extension/xextension/storage"
)

// volume is where the files of the clients are. It keeps a reserve of room, so that what is stored can be delivered and removed: that
// takes room for new pages of a file before it gives up old ones.
type volume struct {
	reserve int64 // 0 for none
	// room returns the free room on the volume, and its size; occupied returns how much of it a file has.
	room     func() (free, size int64, err error)
	occupied func(file string) int64

	mu      sync.Mutex
	clients map[*client]bool
}

func newVolume(dir string, reserve int64) *volume {
	return &volume{reserve: reserve, room: func() (int64, int64, error) { return room(dir) }, occupied: occupied, clients: map[*client]bool{}}
}

func (v *volume) add(c *client) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.clients[c] = true
}

func (v *volume) remove(c *client) {
	v.mu.Lock()
	defer v.mu.Unlock()
	delete(v.clients, c)
}

// growth is how much larger data becomes at most when it moves to another file: each span gets three for its phases.
const growth = 4

// admit returns an error if a client cannot store new data of the given size without touching the reserve. Data that moves on to another
// file has to have room there too; there it may touch half of the reserve.
func (v *volume) admit(c *client, size int64) error {
	if v.reserve == 0 {
		return nil
	}
	free, total, err := v.room()
	if err != nil {
		return nil // the write will show whether there is room
	}
	reserve := min(v.reserve, total/4)
	if !c.moves {
		reserve /= 2
	}
	used, spare := c.load(v.occupied(c.file))
	if left := free + spare - size; left < reserve {
		return fmt.Errorf("%w: %d bytes would be left, and %d are kept in reserve", storage.ErrStorageFull, max(left, 0), reserve)
	}
	if !c.moves {
		return nil
	}
	elsewhere := free
	v.mu.Lock()
	defer v.mu.Unlock()
	for other := range v.clients {
		if other != c && !other.moves {
			_, spare := other.load(v.occupied(other.file))
			elsewhere += spare
		}
	}
	if left := elsewhere - growth*(used+size); left < reserve/2 {
		return fmt.Errorf("%w: %d bytes would be left when what waits moves on, and %d are kept in reserve", storage.ErrStorageFull, max(left, 0), reserve/2)
	}
	return nil
}
