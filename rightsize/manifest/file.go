package manifest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/tppfaas/tppfaas/internal/atomicfile"
)

// ReadFile reads a file whole, if it is of a size that a manifest has.
func ReadFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxSize+1))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if len(text) > maxSize {
		return nil, fmt.Errorf("%s: more than %d bytes are too many", path, maxSize)
	}
	return text, nil
}

// mostBackups is how many backups there are beside a file at most.
const mostBackups = 100

// WriteFile replaces a file, atomically, that has the content before by one that has the content after. It keeps the old one beside it as FILE.bak,
// or FILE.bak.1 and so on to FILE.bak.99 where that is taken by another content, and returns that name. Where all are taken, it takes the place of the one with a number
// that was written first; FILE.bak stays. Permissions stay, and a symbolic link is followed. A file whose content is not before any more is left alone.
func WriteFile(path string, before, after []byte) (backup string, err error) {
	if strings.HasSuffix(path, ".gz") {
		return "", fmt.Errorf("%s: compressed files are not written", path)
	}
	info, err := os.Stat(path)
	if err != nil {
		return "", err
	}
	if !info.Mode().IsRegular() {
		return "", fmt.Errorf("%s is no regular file", path)
	}
	if err := atomicfile.Check(path); err != nil {
		return "", err
	}
	if backup, err = keep(path, before, info.Mode().Perm()); err != nil {
		return "", fmt.Errorf("%s: keeping a backup: %w", path, err)
	}
	now, err := ReadFile(path)
	if err != nil {
		return backup, err
	}
	if !bytes.Equal(now, before) {
		return backup, fmt.Errorf("%s was changed meanwhile: nothing is written", path)
	}
	return backup, atomicfile.Write(path, func(w io.Writer) error { _, err := w.Write(after); return err })
}

// keep writes a backup under the first name that is free, unless one with the same content is there, or in place of the oldest one with a number.
func keep(path string, text []byte, mode fs.FileMode) (string, error) {
	oldest, since := "", time.Time{}
	for i := range mostBackups {
		name := path + ".bak"
		if i > 0 {
			name += "." + strconv.Itoa(i)
		}
		f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
		if errors.Is(err, fs.ErrExist) {
			if old, err := ReadFile(name); err == nil && bytes.Equal(old, text) {
				return name, nil
			}
			info, err := os.Lstat(name)
			if i > 0 && err == nil && info.Mode().IsRegular() && (oldest == "" || info.ModTime().Before(since)) {
				oldest, since = name, info.ModTime()
			}
			continue
		}
		if err != nil {
			return "", err
		}
		_, err = f.Write(text)
		err = errors.Join(err, f.Sync(), f.Close())
		if err != nil {
			return "", errors.Join(err, os.Remove(name))
		}
		return name, nil
	}
	if oldest == "" {
		return "", fmt.Errorf("%s.bak and all names to %s.bak.%d are taken by what is no file", path, path, mostBackups-1)
	}
	return oldest, atomicfile.Write(oldest, func(w io.Writer) error { _, err := w.Write(text); return err })
}
