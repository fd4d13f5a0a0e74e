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

// mostBackups bounds the numbers of backups beside a file.
const mostBackups = 10000

// WriteFile replaces a file, atomically, that has the content before by one that has the content after. It keeps the old one beside it as FILE.bak,
// or FILE.bak.1 and so on where that is taken by another content, and returns that name. Permissions stay, and a symbolic link is followed. A file
// whose content is not before any more is left alone.
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

// keep writes a backup under the first name that is free, unless one with the same content is there.
func keep(path string, text []byte, mode fs.FileMode) (string, error) {
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
	return "", fmt.Errorf("there are %d of them", mostBackups)
}
