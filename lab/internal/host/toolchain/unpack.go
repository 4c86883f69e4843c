package toolchain

import (
	"archive/tar"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// unpack writes the wanted members of a verified archive to the files that the caller names: no
// name in the archive becomes a path of this machine. It returns the members that are missing; one
// that is no ordinary file is an error. The name of the archive tells its form; by any other it is
// the program itself, whose member is "".
func unpack(file *os.File, a archive, wanted map[string]string) (missing []string, err error) {
	left := maps.Clone(wanted)
	write := func(name string, mode fs.FileMode, content io.Reader) error {
		name = path.Clean(strings.TrimPrefix(name, "./"))
		to, ok := left[name]
		if !ok {
			return nil
		}
		if !mode.IsRegular() {
			return fmt.Errorf("%s in it is not an ordinary file", name)
		}
		delete(left, name)
		return writeProgram(to, content)
	}
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		return nil, err
	}
	switch {
	case strings.HasSuffix(a.URL, ".tar.gz"):
		err = eachInTar(file, write)
	default:
		to := left[""]
		delete(left, "")
		err = writeProgram(to, file)
	}
	return slices.Sorted(maps.Keys(left)), err
}

func eachInTar(file io.Reader, do func(name string, mode fs.FileMode, content io.Reader) error) error {
	unzipped, err := gzip.NewReader(file)
	if err != nil {
		return err
	}
	reader := tar.NewReader(unzipped)
	for {
		header, err := reader.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		mode := header.FileInfo().Mode()
		if header.Typeflag == tar.TypeLink { // its mode is that of a file
			mode |= fs.ModeIrregular
		}
		if err := do(header.Name, mode, reader); err != nil {
			return err
		}
	}
}

// writeProgram writes an executable file, and its folder, to the disk.
func writeProgram(to string, content io.Reader) (err error) {
	if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
		return err
	}
	file, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o700)
	if err != nil {
		return err
	}
	_, err = io.Copy(file, content)
	return errors.Join(err, file.Sync(), file.Close())
}
