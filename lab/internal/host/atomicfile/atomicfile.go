// Package atomicfile replaces files in one step: a reader, and the next process after a crash, sees
// the old content or the new content, never a part.
package atomicfile

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// Write replaces the file at path, or creates it. Only its owner may read it. The content is on the
// disk before the name leads to it, so that a power cut does not leave an empty file. The error
// names the file, whose content is then the old one.
func Write(path string, content []byte) error {
	// In the same folder, because a rename across file systems is a copy. os.CreateTemp makes files
	// of mode 0600.
	file, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*.unfinished")
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	_, err = file.Write(content)
	err = errors.Join(err, file.Sync(), file.Close())
	if err == nil {
		err = os.Rename(file.Name(), path)
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", path, errors.Join(err, os.Remove(file.Name())))
	}
	return nil
}
