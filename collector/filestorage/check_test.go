package filestorage

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"go.etcd.io/bbolt"
)

// database writes a database with n entries, of which some were removed, and returns its file.
func writeDatabase(t testing.TB, n int) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "db")
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{NoSync: true, NoFreelistSync: true, FreelistType: bbolt.FreelistMapType})
	require.NoError(t, err)
	for i := range n {
		require.NoError(t, db.Update(func(tx *bbolt.Tx) error {
			b, err := tx.CreateBucketIfNotExists([]byte("default"))
			if err != nil {
				return err
			}
			if i > 20 && i%3 == 0 {
				if err := b.Delete(fmt.Appendf(nil, "%d", i-20)); err != nil {
					return err
				}
			}
			return b.Put(fmt.Appendf(nil, "%d", i), make([]byte, i*37%9000))
		}))
	}
	require.NoError(t, db.Close())
	return path
}

// TestIntactDatabase checks that no intact file counts as damaged: empty, small, with branch pages, with large values, in use.
func TestIntactDatabase(t *testing.T) {
	for _, n := range []int{0, 1, 5, 300, 1000} {
		path := writeDatabase(t, n)
		damage, err := checkDatabase(path)
		require.NoError(t, err)
		require.NoError(t, damage, "%d entries", n)
	}
	damage, err := checkDatabase(filepath.Join(t.TempDir(), "none"))
	require.NoError(t, err)
	require.NoError(t, damage)
	path := filepath.Join(t.TempDir(), "empty")
	require.NoError(t, os.WriteFile(path, nil, 0o600))
	damage, err = checkDatabase(path)
	require.NoError(t, err)
	require.NoError(t, damage)

	path = writeDatabase(t, 5)
	db, err := bbolt.Open(path, 0o600, nil)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(path, []byte("what another process is writing"), 0o600))
	damage, err = checkDatabase(path)
	require.NoError(t, err)
	require.NoError(t, damage, "it is in use")
	_ = db // closing it would write
}

// TestDamagedDatabase damages each page in use, cuts the file and overwrites its beginning, and checks that this is seen.
func TestDamagedDatabase(t *testing.T) {
	for name, spoil := range map[string]func(b []byte) []byte{
		"beginning":    func(b []byte) []byte { copy(b, make([]byte, 8192)); return b },
		"cut":          func(b []byte) []byte { return b[:8192+100] },
		"text":         func([]byte) []byte { return []byte("hello") },
		"behind metas": func(b []byte) []byte { clear(b[8192:]); return b },
	} {
		path := writeDatabase(t, 300)
		b, err := os.ReadFile(path)
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(path, spoil(b), 0o600))
		damage, err := checkDatabase(path)
		require.NoError(t, err)
		require.Error(t, damage, name)
	}
}

// TestCheckedDatabaseOpens changes bytes at random, and checks that the check never panics, and that bbolt opens, reads and changes what it
// takes as intact. A panic of bbolt would end the test.
func TestCheckedDatabaseOpens(t *testing.T) {
	intact, err := os.ReadFile(writeDatabase(t, 200))
	require.NoError(t, err)
	rng := rand.New(rand.NewPCG(1, 2))
	damaged := 0
	path := filepath.Join(t.TempDir(), "db")
	for range 600 {
		b := append([]byte(nil), intact...)
		for range 1 + rng.IntN(4) {
			page := rng.IntN(len(b) / 4096)
			b[page*4096+rng.IntN(64)] = byte(rng.IntN(256)) // the headers of pages and elements
		}
		require.NoError(t, os.WriteFile(path, b, 0o600))
		damage, err := checkDatabase(path)
		require.NoError(t, err)
		if damage != nil {
			damaged++
			continue
		}
		db, err := bbolt.Open(path, 0o600, &bbolt.Options{NoSync: true, NoFreelistSync: true, FreelistType: bbolt.FreelistMapType})
		require.NoError(t, err)
		require.NoError(t, db.Update(func(tx *bbolt.Tx) error {
			bucket := tx.Bucket([]byte("default"))
			if bucket == nil {
				return nil
			}
			if err := bucket.ForEach(func(_, _ []byte) error { return nil }); err != nil {
				return err
			}
			return bucket.Put([]byte("a new one"), make([]byte, 5000))
		}))
		require.NoError(t, db.Close())
	}
	require.Greater(t, damaged, 100)
	t.Logf("%d of 600 were damaged", damaged)
}
