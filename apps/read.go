package apps

import (
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

//go:embed */graph.yaml */serverless.yaml
var embedded embed.FS

// GraphFile is the file of an application's folder that Read reads.
const GraphFile = "graph.yaml"

// Error says what is wrong with an application and where.
type Error struct {
	File   string // path as the caller would write it
	Line   int    // from 1; 0 where no single line is to blame
	Reason string
}

// Error returns FILE:LINE: REASON, as compilers write it.
func (e *Error) Error() string {
	if e.Line == 0 {
		return e.File + ": " + e.Reason
	}
	return fmt.Sprintf("%s:%d: %s", e.File, e.Line, e.Reason)
}

// Embedded returns the names of the applications that come with the package, sorted.
func Embedded() []string {
	files, err := fs.Glob(embedded, "*/"+GraphFile)
	if err != nil {
		return nil // only a malformed pattern fails
	}
	var names []string
	for _, f := range files {
		names = append(names, path.Dir(f))
	}
	slices.Sort(names)
	return names
}

// Files returns the folders of the embedded applications, each with its graph.yaml and serverless.yaml: what a user
// copies to start an application from.
func Files() fs.FS { return embedded }

// Load reads the application in the folder nameOrDir if there is such a folder, else the embedded one of that name. A
// mistake in the folder's files is an *Error.
func Load(nameOrDir string) (*Application, error) {
	if nameOrDir == "" {
		return nil, fmt.Errorf("no application given (known: %s, or a folder with a %s)", strings.Join(Embedded(), ", "), GraphFile)
	}
	known := slices.Contains(Embedded(), nameOrDir)
	info, err := os.Stat(nameOrDir)
	switch {
	case err == nil && info.IsDir():
		absolute, err := filepath.Abs(nameOrDir)
		if err != nil {
			return nil, fmt.Errorf("application %s: %w", nameOrDir, err)
		}
		app, err := read(os.DirFS(nameOrDir), ".", filepath.Join(nameOrDir, GraphFile), filepath.Base(absolute))
		if known && errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("%w (the folder %s here hides the embedded application of that name)", err, nameOrDir)
		}
		return app, err
	case known:
		return Read(embedded, nameOrDir)
	case err == nil:
		return nil, fmt.Errorf("application %s: is a file; give the folder that holds %s", nameOrDir, GraphFile)
	case !errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("application %s: %w", nameOrDir, err)
	}
	return nil, fmt.Errorf("application %s: no such folder, and not one of the embedded ones: %s", nameOrDir, strings.Join(Embedded(), ", "))
}

// Read reads the application in the folder dir of fsys; the folder's name is the application's. A mistake in its
// graph.yaml is an *Error.
func Read(fsys fs.FS, dir string) (*Application, error) {
	return read(fsys, dir, path.Join(dir, GraphFile), path.Base(dir))
}

func read(fsys fs.FS, dir, shown, name string) (*Application, error) {
	text, err := fs.ReadFile(fsys, path.Join(dir, GraphFile))
	if err != nil {
		var onPath *fs.PathError
		if errors.As(err, &onPath) {
			err = onPath.Err
		}
		return nil, fmt.Errorf("%s: %w", shown, err)
	}
	if err := checkName("application", name); err != nil {
		return nil, fmt.Errorf("%s: %w", shown, err)
	}
	functions, err := parseGraph(shown, text)
	if err != nil {
		return nil, err
	}
	return &Application{Name: name, Functions: functions}, nil
}
