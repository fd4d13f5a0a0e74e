package container

import (
	"archive/zip"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"
)

// maxEntries is the maximum number of files and folders in a zip.
const maxEntries = 10_000

// unzip unpacks an archive into the empty directory dir. It returns an error if a path or a symbolic link leads out of dir, or if the files are
// larger than maxBytes together; what has been written by then is left in dir.
func unzip(archive []byte, dir string, maxBytes int64) error {
	z, err := zip.NewReader(bytes.NewReader(archive), int64(len(archive)))
	if err != nil {
		return fmt.Errorf("the code is no zip that can be read: %w", err)
	}
	if len(z.File) > maxEntries {
		return fmt.Errorf("the zip has %d entries; at most %d are allowed", len(z.File), maxEntries)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	var links []string
	for _, f := range z.File {
		name, err := entryName(f.Name)
		if err != nil {
			return err
		}
		switch mode := f.Mode(); {
		case strings.HasSuffix(f.Name, "/") || mode.IsDir():
			err = root.MkdirAll(name, 0o755)
		case mode&fs.ModeSymlink != 0:
			links = append(links, name)
			err = makeLink(root, name, f)
		case mode.IsRegular():
			var n int64
			n, err = makeFile(root, name, f, maxBytes)
			maxBytes -= n
		default:
			err = fmt.Errorf("it is neither file, folder nor symbolic link, but %s", mode.Type())
		}
		if err != nil {
			return fmt.Errorf("%q in the zip: %w", f.Name, err)
		}
	}
	for _, name := range links {
		if _, err := root.Stat(name); err != nil {
			return fmt.Errorf("%q in the zip is a symbolic link that leads out of its folder, or nowhere: %w", name, err)
		}
	}
	return nil
}

// entryName returns the cleaned name of an entry, or an error if it does not lead to a path below the folder.
func entryName(name string) (string, error) {
	clean := strings.TrimSuffix(name, "/")
	for s := range strings.SplitSeq(clean, "/") {
		if s == ".." {
			return "", fmt.Errorf("%q in the zip leads out of its folder", name)
		}
	}
	if strings.HasPrefix(name, "/") || strings.ContainsAny(name, "\\\x00") || len(name) > 1000 {
		return "", fmt.Errorf("%.1000q in the zip is no path below its folder", name)
	}
	return path.Clean(clean), nil
}

// makeLink creates a relative symbolic link.
func makeLink(root *os.Root, name string, f *zip.File) error {
	r, err := f.Open()
	if err != nil {
		return err
	}
	defer r.Close()
	target, err := io.ReadAll(io.LimitReader(r, 4096))
	if err != nil {
		return err
	}
	if len(target) == 0 || path.IsAbs(string(target)) {
		return errors.New("a symbolic link that leads out of its folder")
	}
	if err := root.MkdirAll(path.Dir(name), 0o755); err != nil {
		return err
	}
	return root.Symlink(string(target), name)
}

// makeFile writes one file of at most maxBytes bytes, and returns its size. The file is read-only, because containers share it.
func makeFile(root *os.Root, name string, f *zip.File, maxBytes int64) (int64, error) {
	if err := root.MkdirAll(path.Dir(name), 0o755); err != nil {
		return 0, err
	}
	r, err := f.Open()
	if err != nil {
		return 0, err
	}
	defer r.Close()
	w, err := root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o444|f.Mode().Perm()&0o111)
	if err != nil {
		return 0, err
	}
	n, err := io.Copy(w, io.LimitReader(r, maxBytes+1))
	err = errors.Join(err, w.Close())
	if err == nil && n > maxBytes {
		err = errors.New("unpacked, the zip would be too large")
	}
	return n, err
}
