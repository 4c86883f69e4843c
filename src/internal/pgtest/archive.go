package pgtest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"
)

// Archive is what a server is restored from when its own files are gone: a base backup, and the WAL
// that the server archives. The zero value is of no use; see NewArchive.
type Archive struct {
	dir, password string
	credential    *syscall.Credential
}

// NewArchive makes an empty archive in a temporary folder of its own. Remove deletes it.
func NewArchive() (*Archive, error) {
	dir, credential, err := folder("gridos-archive-")
	if err != nil {
		return nil, err
	}
	a := &Archive{dir: dir, credential: credential}
	err = os.Mkdir(a.wal(), 0o700)
	if err == nil && credential != nil {
		err = os.Chown(a.wal(), int(credential.Uid), int(credential.Gid))
	}
	if err != nil {
		return nil, errors.Join(err, a.Remove())
	}
	return a, nil
}

func (a *Archive) wal() string  { return filepath.Join(a.dir, "wal") }
func (a *Archive) base() string { return filepath.Join(a.dir, "base") }

// Options make a server archive its WAL here, for New. A file has its name only when all of it is
// there.
func (a *Archive) Options() []string {
	return []string{
		"-c", "archive_mode=on",
		"-c", fmt.Sprintf(`archive_command=cp "%%p" "%[1]s/%%f.part" && mv "%[1]s/%%f.part" "%[1]s/%%f"`, a.wal()),
	}
}

// Backup takes the base backup of a server that archives here, and returns how many bytes it has.
// The backup holds no WAL, so that a restored server needs the archive from its first moment on.
func (a *Archive) Backup(ctx context.Context, s *Server) (bytes int64, err error) {
	command := s.command(ctx, "pg_basebackup", "-D", a.base(), "-h", "127.0.0.1", "-p", strconv.Itoa(s.port), "-U", administrator,
		"--no-password", "--checkpoint=fast", "--wal-method=none", "--no-sync")
	command.Env = []string{"PGPASSWORD=" + s.password, "PGSSLMODE=disable", "LC_ALL=C"}
	if err := run(command); err != nil {
		return 0, err
	}
	a.password = s.password
	err = filepath.WalkDir(a.base(), func(_ string, entry os.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		info, err := entry.Info()
		if err == nil {
			bytes += info.Size()
		}
		return err
	})
	return bytes, err
}

// Complete returns when the archive has all that the server has committed until now.
func (a *Archive) Complete(ctx context.Context, s *Server) error {
	connection, err := s.connect(ctx, "postgres")
	if err != nil {
		return err
	}
	defer connection.Close(context.WithoutCancel(ctx)) // nothing is lost with it
	var file string
	if err := connection.QueryRow(ctx, `SELECT pg_walfile_name(pg_switch_wal())`).Scan(&file); err != nil {
		return err
	}
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for {
		_, err := os.Stat(filepath.Join(a.wal(), file))
		if !errors.Is(err, os.ErrNotExist) {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the server has not archived %s: %w", file, ctx.Err())
		case <-ticker.C:
		}
	}
}

// Restore starts a new server with what was committed until a moment, and nothing of later. It
// needs neither the files of the old server nor the server itself. The passwords are those of the
// moment.
func (a *Archive) Restore(ctx context.Context, moment time.Time) (_ *Server, err error) {
	s, err := newServer(ctx, a.password, []string{
		"-c", fmt.Sprintf(`restore_command=cp "%s/%%f" "%%p"`, a.wal()),
		"-c", "recovery_target_time=" + moment.UTC().Format("2006-01-02 15:04:05.999999+00"),
		"-c", "recovery_target_action=promote",
	})
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Remove())
		}
	}()
	copying := exec.CommandContext(ctx, "cp", "-Rp", a.base(), s.data())
	copying.Dir = s.dir
	copying.SysProcAttr = &syscall.SysProcAttr{Credential: s.credential}
	if err := run(copying); err != nil {
		return nil, err
	}
	if err := s.put("recovery.signal", nil); err != nil {
		return nil, err
	}
	return s, s.Start(ctx)
}

// Remove deletes the archive.
func (a *Archive) Remove() error { return os.RemoveAll(a.dir) }
