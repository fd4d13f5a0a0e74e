package action

import (
	"archive/zip"
	"bytes"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"
)

// Zip returns the zip that OpenWhisk wants for an executable of a kind: exec and, for a compiled Go action, exec.env with the name of the
// kind's runtime, which does not start the executable without it. The same executable gives the same bytes.
func Zip(executable []byte, kind string) ([]byte, error) {
	env, err := runtimeName(kind)
	if err != nil {
		return nil, err
	}
	var packed bytes.Buffer
	z := zip.NewWriter(&packed)
	add := func(name string, mode os.FileMode, content []byte) error {
		h := &zip.FileHeader{Name: name, Method: zip.Deflate, Modified: time.Date(2021, time.June, 1, 0, 0, 0, 0, time.UTC)}
		h.SetMode(mode)
		w, err := z.CreateHeader(h)
		if err != nil {
			return err
		}
		_, err = w.Write(content)
		return err
	}
	err = add("exec", 0o755, executable)
	if env != "" {
		err = errors.Join(err, add("exec.env", 0o644, []byte(env)))
	}
	if err = errors.Join(err, z.Close()); err != nil {
		return nil, fmt.Errorf("packing the action: %w", err)
	}
	return packed.Bytes(), nil
}

// runtimeName returns the OW_EXECUTION_ENV of the runtime of a kind, "" for a blackbox, which has none.
func runtimeName(kind string) (string, error) {
	if kind == "blackbox" {
		return "", nil
	}
	version, ok := strings.CutPrefix(kind, "go:")
	if !ok || version == "" || version == "default" {
		return "", fmt.Errorf("kind %q: it must be go: with a version, or blackbox", kind)
	}
	return "openwhisk/action-golang-v" + version, nil
}
