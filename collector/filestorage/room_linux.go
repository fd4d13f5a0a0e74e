package filestorage

import "golang.org/x/sys/unix"

// room returns the free room on the volume of a folder, and the size of the volume.
func room(dir string) (free, size int64, err error) {
	var volume unix.Statfs_t
	if err := unix.Statfs(dir, &volume); err != nil {
		return 0, 0, err
	}
	return int64(volume.Bavail) * volume.Bsize, int64(volume.Blocks) * volume.Bsize, nil
}

// occupied returns what a file occupies on its volume, 0 if there is no such file. It may be less than the size of the file, which grows
// before it is written.
func occupied(file string) int64 {
	var stat unix.Stat_t
	if unix.Stat(file, &stat) != nil {
		return 0
	}
	return stat.Blocks * 512
}

// lock locks a database file for reading, as bbolt does. It reports false if another process uses the file.
func lock(fd uintptr) bool { return unix.Flock(int(fd), unix.LOCK_SH|unix.LOCK_NB) == nil }
