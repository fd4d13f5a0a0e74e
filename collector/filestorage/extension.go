package filestorage

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	contrib "github.com/open-telemetry/opentelemetry-collector-contrib/extension/storage/filestorage"
	bbolterrors "go.etcd.io/bbolt/errors"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/extension"
	"go.opentelemetry.io/collector/extension/xextension/storage"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// NewFactory returns the factory of the extension file_storage.
func NewFactory() extension.Factory {
	return extension.NewFactory(contrib.NewFactory().Type(), createDefaultConfig, create, component.StabilityLevelBeta)
}

func create(ctx context.Context, set extension.Settings, cfg component.Config) (extension.Extension, error) {
	config := cfg.(*Config)
	inner, err := contrib.NewFactory().Create(ctx, set, &config.Config)
	if err != nil {
		return nil, err
	}
	logger := set.Logger.WithOptions(zap.AddStacktrace(zapcore.DPanicLevel)) // one line for each entry
	return &fileStorage{Extension: inner.(storage.Extension), config: config, logger: logger, volume: newVolume(config.Directory, config.ReserveMiB<<20)}, nil
}

// fileStorage is the extension.
type fileStorage struct {
	storage.Extension
	config *Config
	logger *zap.Logger
	volume *volume
}

// check sets a file aside if it is a damaged database.
func (s *fileStorage) check(path string) {
	damage, err := checkDatabase(path)
	if err != nil {
		s.logger.Warn("A file of the storage cannot be checked", zap.String("file", path), zap.Error(err))
	}
	if damage == nil {
		return
	}
	aside := path + asideMark + time.Now().UTC().Format("20060102T150405.000000000")
	if err := os.Rename(path, aside); err != nil {
		s.logger.Error("A file of the storage is damaged and cannot be set aside", zap.String("file", path), zap.NamedError("damage", damage), zap.Error(err))
		return
	}
	s.logger.Error("A file of the storage is damaged; it is set aside, and what it contained is not delivered",
		zap.String("file", path), zap.String("set_aside", aside), zap.NamedError("damage", damage))
}

// asideMark stands in the names of files that were set aside, before the time.
const asideMark = ".damaged."

// GetClient returns a client that keeps the reserve. If its file is damaged, it is set aside, and the client starts with an empty one.
func (s *fileStorage) GetClient(ctx context.Context, kind component.Kind, id component.ID, name string) (storage.Client, error) {
	path := s.path(kind, id, name)
	s.check(path)
	inner, err := s.Extension.GetClient(ctx, kind, id, name)
	if errors.Is(err, bbolterrors.ErrTimeout) {
		return nil, fmt.Errorf("%s is in use, by another collector or by one that has not ended yet: %w", path, err)
	}
	if err != nil {
		return nil, fmt.Errorf("opening %s: %w", path, err)
	}
	c, err := newClient(ctx, inner, s.logger.With(zap.Stringer("of", id)), s.volume, path, kind != component.KindExporter)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("reading %s: %w", path, err), inner.Close(ctx))
	}
	return c, nil
}

// path returns the file that the contributed extension gives a component, if its name has none of the characters that are replaced there.
func (s *fileStorage) path(kind component.Kind, id component.ID, name string) string {
	file := strings.ToLower(kind.String()) + "_" + id.Type().String() + "_" + id.Name()
	if name != "" {
		file += "_" + name
	}
	return filepath.Join(s.config.Directory, file)
}
