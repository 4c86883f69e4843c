package toolchain

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"runtime"

	"github.com/gridos/sharedinfra/lab/internal/host/progress"
)

// member is the path of this pin's build in a bundle. It has the key of the pin, so that a build of
// another pin is not taken for it.
func (s *search) member() string {
	return path.Join(filepath.Base(filepath.Dir(s.cached)), s.tool.Name)
}

// fromBundle takes all builds that are missing from the bundle. One bundle is looked through once.
func (s *search) fromBundle(ctx context.Context, step *progress.Step, failed map[string]error) (string, error) {
	all, err := s.downloads()
	if err != nil {
		return "", err
	}
	a, ok := all.Bundle[platform()]
	if !ok || a.Sum == "" {
		return "", fmt.Errorf("%s has no bundle for %s", sumsFile, platform())
	}
	if isExecutable(s.cached) { // it was in the bundle that another tool was taken from
		return s.cached, nil
	}
	if err := failed[a.Sum]; err != nil {
		return "", err
	}
	err = s.bring(ctx, step, a, failed, s.cached, func(file *os.File, dir string) error {
		return s.unbundle(file, a, dir)
	})
	if err != nil {
		if ctx.Err() == nil {
			failed[a.Sum] = err
		}
		return "", err
	}
	failed[a.Sum] = fmt.Errorf("the bundle has no build of this pin by %s", runtime.Version())
	if !isExecutable(s.cached) {
		return "", failed[a.Sum]
	}
	return s.cached, nil
}

// unbundle puts each build of a pin of this checkout where the lab would have built it.
func (s *search) unbundle(file *os.File, a archive, dir string) error {
	wanted, final := map[string]string{}, map[string]string{}
	for _, tool := range s.tools() {
		one, err := s.newSearch(tool.Name)
		if err != nil {
			return err
		}
		if !isExecutable(one.cached) {
			wanted[one.member()] = filepath.Join(dir, filepath.FromSlash(one.member()))
			final[one.member()] = one.cached
		}
	}
	missing, err := unpack(file, a, wanted)
	if err != nil {
		return err
	}
	for _, name := range missing { // of other pins
		delete(wanted, name)
	}
	for name, unpacked := range wanted {
		if err := os.Rename(filepath.Dir(unpacked), filepath.Dir(final[name])); err != nil && !isExecutable(final[name]) {
			return err
		}
	}
	return nil
}

// Bundle writes an archive with a build of each named tool from its pin, made here or taken from an
// earlier bundle: never an installed copy. The same builds give the same bytes.
func (r *Resolver) Bundle(ctx context.Context, w io.Writer, names ...string) (err error) {
	zipped := gzip.NewWriter(w)
	archive := tar.NewWriter(zipped)
	for _, name := range names {
		s, err := r.newSearch(name)
		if err != nil {
			return err
		}
		if !isExecutable(s.cached) {
			step := r.start(s.title())
			if err := s.build(ctx, step); err != nil {
				step.Fail(errors.New("not built"))
				return fmt.Errorf("building %s for the bundle: %w", s.title(), err)
			}
			step.Done("built")
		}
		if err := addFile(archive, s.member(), s.cached); err != nil {
			return err
		}
	}
	return errors.Join(archive.Close(), zipped.Close())
}

func addFile(archive *tar.Writer, name, path string) (err error) {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	info, err := file.Stat()
	if err != nil {
		return err
	}
	if err := archive.WriteHeader(&tar.Header{Name: name, Mode: 0o755, Size: info.Size()}); err != nil {
		return err
	}
	_, err = io.Copy(archive, file)
	return err
}
