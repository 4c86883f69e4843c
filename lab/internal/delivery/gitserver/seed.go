package gitserver

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"strconv"
	"time"

	"github.com/gridos/sharedinfra/lab/internal/delivery/pace"
)

// Seed makes the first commit, and returns it: the named folders of a checkout, unchanged except
// for the waits of a release, which are shortened (package pace).
func (s *Server) Seed(ctx context.Context, checkout fs.FS, speed pace.Speed, folders ...string) (string, error) {
	head, err := s.Head(ctx)
	if err != nil {
		return "", err
	}
	if head != "" {
		return "", fmt.Errorf("%s has commits already; only a new repository can be seeded, use another folder", s.URL())
	}
	commit, err := firstCommit(checkout, s.options.Branch, speed, folders)
	if err != nil {
		return "", fmt.Errorf("seed %s: %w", s.URL(), err)
	}
	if _, err := s.git.run(ctx, s.dir(), commit, "fast-import", "--quiet", "--done"); err != nil {
		return "", fmt.Errorf("seed %s: %w", s.URL(), err)
	}
	return s.Head(ctx)
}

// firstCommit returns a stream for git fast-import, which takes every byte unchanged: git add would
// apply .gitignore and attributes.
func firstCommit(checkout fs.FS, branch string, speed pace.Speed, folders []string) (*bytes.Buffer, error) {
	var stream bytes.Buffer
	data := func(content []byte) {
		fmt.Fprintf(&stream, "data %d\n%s\n", len(content), content)
	}
	fmt.Fprintf(&stream, "commit refs/heads/%s\ncommitter %s <%s> %d +0000\n", branch, authorName, authorEmail, time.Now().Unix())
	data([]byte("chore: begin with what the checkout has\n\nThe waits of a release are " + speed.String() + ".\n"))
	err := eachScaled(checkout, speed, folders, func(name string, content []byte, executable bool) error {
		mode := "100644"
		if executable {
			mode = "100755"
		}
		fmt.Fprintf(&stream, "M %s inline %s\n", mode, strconv.Quote(name))
		data(content)
		return nil
	})
	if err != nil {
		return nil, err
	}
	stream.WriteString("done\n")
	return &stream, nil
}

// eachScaled calls take for each file in the folders of a checkout, with the waits of releases
// shortened.
func eachScaled(
	checkout fs.FS, speed pace.Speed, folders []string, take func(name string, content []byte, executable bool) error,
) error {
	waits, err := pace.New(speed)
	if err != nil {
		return err
	}
	add := func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		if !info.Mode().IsRegular() {
			return fmt.Errorf("%s is a %s; only plain files can be seeded, remove it", name, info.Mode().Type())
		}
		content, err := fs.ReadFile(checkout, name)
		if err != nil {
			return err
		}
		if content, err = waits.Scale(name, content); err != nil {
			return err
		}
		return take(name, content, info.Mode().Perm()&0o111 != 0)
	}
	for _, folder := range folders {
		if err := fs.WalkDir(checkout, folder, add); err != nil {
			return err
		}
	}
	return waits.Missing()
}
