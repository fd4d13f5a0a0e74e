package atomicfile

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// maxLinks is how many symbolic links are followed, as in Linux.
const maxLinks = 40

// follow follows the symbolic links of a path's last element, as far as there are any. If it meets the name of an open file of this
// process, such as /dev/stdout, it returns its number; otherwise descriptor is −1 and target is where the last link points, whether
// or not something is there.
func follow(path string) (target string, descriptor int) {
	for range maxLinks {
		if n, ok := descriptorOf(path); ok {
			return path, n
		}
		next, err := os.Readlink(path)
		if err != nil {
			return path, -1
		}
		if !filepath.IsAbs(next) {
			// The folder may be a link too: .. leads out of where that points.
			folder, err := filepath.EvalSymlinks(filepath.Dir(path))
			if err != nil {
				folder = filepath.Dir(path)
			}
			next = filepath.Join(folder, next)
		}
		path = next
	}
	return path, -1
}

// descriptorOf returns the number of the open file that a path names: N of /dev/fd/N or /proc/self/fd/N.
func descriptorOf(path string) (n int, ok bool) {
	path, err := filepath.Abs(path)
	if err != nil {
		return 0, false
	}
	for _, prefix := range []string{"/dev/fd/", "/proc/self/fd/", "/proc/thread-self/fd/", "/proc/" + strconv.Itoa(os.Getpid()) + "/fd/"} {
		if text, found := strings.CutPrefix(path, prefix); found {
			n, err := strconv.Atoi(text)
			return n, err == nil && n >= 0
		}
	}
	return 0, false
}

// IsStdout reports whether a path names what the process has as its standard output, so that a message there would mix with the
// content: /dev/stdout, or the same pipe or terminal under another name.
func IsStdout(path string) bool {
	if _, descriptor := follow(path); descriptor == 1 {
		return true
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().IsRegular() {
		return false
	}
	out, err := os.Stdout.Stat()
	return err == nil && os.SameFile(info, out) && path != os.DevNull
}
