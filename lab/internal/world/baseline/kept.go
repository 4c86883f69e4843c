package baseline

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"github.com/gridos/sharedinfra/lab/internal/daemon"
	"github.com/gridos/sharedinfra/lab/internal/host/progress"
	"github.com/gridos/sharedinfra/lab/internal/host/site"
	"github.com/gridos/sharedinfra/lab/internal/host/toolchain"
)

// keptCommits is how many commits stay checked out and built, each with what it made of every
// environment: enough for a branch off two others, and for one base that has moved.
const keptCommits = 3

// origin is what an environment that a commit made depends on beside the commit.
type origin struct {
	// Dir is the site's folder. The site's files name each other by absolute paths.
	Dir string `json:"dir"`
	// Lab is the digest of the working tree's lab, which reads what the commit's lab has left.
	Lab string `json:"lab"`
	// Offline says that the lab asked no chart repository.
	Offline bool `json:"offline"`
	// Programs are the size and the time of each program of the control plane, by path. An installed
	// one may be replaced at its path.
	Programs map[string]string `json:"programs"`
}

// record is the file of a kept environment beside the site's own.
type record struct {
	origin

	Made time.Time `json:"made"`
}

const recordFile = "kept.json"

// kept is the folder with the environment as the commit made it, if it was made before. It appears
// in one step when it is complete.
func (b *Baseline) kept() string { return filepath.Join(b.dir, "kept", b.site.Environment) }

// unfinished is the folder of what is not complete yet; only the holder of the lock writes to it.
func (b *Baseline) unfinished() string { return filepath.Join(b.dir, "unfinished") }

// origin returns the origin of an environment whose site's files are in a folder.
func (b *Baseline) origin(files string) (origin, error) {
	config, err := daemon.ReadConfig(files)
	if err != nil {
		return origin{}, err
	}
	run := config.Binaries
	programs := map[string]string{}
	for _, path := range []string{run.Etcd, run.KubeAPIServer, run.KubeControllerManager, run.KubeScheduler} {
		info, err := os.Stat(path)
		if err != nil {
			return origin{}, err
		}
		programs[path] = fmt.Sprintf("%d %s", info.Size(), info.ModTime().UTC().Format(time.RFC3339Nano))
	}
	return origin{Dir: b.site.Dir, Lab: b.lab, Offline: toolchain.Offline(), Programs: programs}, nil
}

// Fits says why a new environment would differ from the one whose files are in the site, or nil.
type Fits func(ctx context.Context, kept site.Site) error

// resume brings the environment up from a copy of the kept one, and reports whether it did. One
// that cannot be used is deleted.
func (b *Baseline) resume(ctx context.Context, display *progress.Display, fits Fits) (bool, error) {
	if _, err := os.Stat(b.kept()); errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	made, err := b.usable(ctx, fits)
	if err == nil {
		step := display.Start(b.title())
		if err = b.start(ctx); err == nil {
			step.Done("as it was made at " + made.Local().Format(time.DateTime))
			return true, nil
		}
		step.Fail(err)
	}
	if ctx.Err() != nil {
		return false, ctx.Err()
	}
	display.Printf("What %s made before is not used: %v", b.Name, err)
	return false, errors.Join(b.discard(ctx), os.RemoveAll(b.kept()))
}

// usable returns when the kept environment was made. The error says why it is not what the commit
// would make now.
func (b *Baseline) usable(ctx context.Context, fits Fits) (made time.Time, err error) {
	text, err := os.ReadFile(filepath.Join(b.kept(), recordFile))
	if err != nil {
		return made, err
	}
	var then record
	if err := json.Unmarshal(text, &then); err != nil {
		return made, fmt.Errorf("%s: %w", b.kept(), err)
	}
	now, err := b.origin(b.kept())
	if err != nil {
		return made, err
	}
	switch {
	case then.Dir != now.Dir:
		return made, fmt.Errorf("it was made in %s", then.Dir)
	case then.Lab != now.Lab:
		return made, errors.New("the working tree's lab has changed since")
	case then.Offline != now.Offline:
		return made, fmt.Errorf("%s has another value than then", toolchain.EnvOffline)
	case !maps.Equal(then.Programs, now.Programs):
		return made, errors.New("the programs of its control plane were replaced")
	}
	kept := b.site
	kept.Dir, kept.Repository = b.kept(), b.Checkout()
	return then.Made, fits(ctx, kept)
}

// start starts the processes of a copy of the kept environment.
func (b *Baseline) start(ctx context.Context) error {
	names, err := namesIn(b.kept())
	if err != nil {
		return err
	}
	if err := copyTo(ctx, b.unfinished(), b.kept(), names); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(b.site.Dir), 0o700); err != nil {
		return err
	}
	if err := errors.Join(os.RemoveAll(b.site.Dir), os.Rename(b.unfinished(), b.site.Dir), b.site.Prepare()); err != nil {
		return err
	}
	if _, err := daemon.Resume(ctx, b.site, b.binary()); err != nil {
		return err
	}
	if err := daemon.WaitForCluster(ctx, b.site); err != nil {
		return err
	}
	return b.sameCluster()
}

// sameCluster returns an error unless the cluster answers where it did. Its address is in the
// stacks' states, so that another one would be a change.
func (b *Baseline) sameCluster() error {
	was := b.site
	was.Dir = b.kept()
	before, err := os.ReadFile(was.KubeconfigFile())
	if err != nil {
		return err
	}
	after, err := os.ReadFile(b.site.KubeconfigFile())
	if err == nil && string(before) != string(after) {
		err = errors.New("another program has the port of its cluster")
	}
	return err
}

// beginToKeep copies the files of the environment that was just made, before a preview writes to
// them. The cluster's own files follow in keep, because its database must be at rest.
func (b *Baseline) beginToKeep(ctx context.Context) error {
	names, err := namesIn(b.site.Dir)
	if err != nil {
		return err
	}
	record := filepath.Base(b.site.RecordFile())
	passing := []string{
		filepath.Base(b.site.ControlPlaneDir()), filepath.Base(b.site.TemporaryDir()), filepath.Base(filepath.Dir(b.site.LogFile("any"))),
		record, record + ".lock",
	}
	names = slices.DeleteFunc(names, func(name string) bool { return slices.Contains(passing, name) })
	if err := copyTo(ctx, b.unfinished(), b.site.Dir, names); err != nil {
		return err
	}
	b.made = time.Now()
	return nil
}

// keep completes what beginToKeep has begun, when no process of the environment runs any more.
func (b *Baseline) keep() error {
	cluster := b.site.ControlPlaneDir()
	if err := os.Rename(cluster, filepath.Join(b.unfinished(), filepath.Base(cluster))); err != nil {
		return err
	}
	origin, err := b.origin(b.unfinished())
	if err != nil {
		return err
	}
	text, err := json.Marshal(record{origin, b.made})
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(b.unfinished(), recordFile), text, 0o600); err != nil {
		return err
	}
	if err := errors.Join(os.MkdirAll(filepath.Dir(b.kept()), 0o700), os.RemoveAll(b.kept())); err != nil {
		return err
	}
	syscall.Sync() // etcd does not wait for the disk, and a power cut must not leave a name without its content
	return os.Rename(b.unfinished(), b.kept())
}

// forgetOld deletes all commits but those that were compared with last, and what is not complete.
func (b *Baseline) forgetOld() error {
	base := filepath.Dir(b.dir)
	entries, err := os.ReadDir(base)
	if err != nil {
		return err
	}
	used := map[string]time.Time{}
	for _, entry := range entries {
		info, err := entry.Info()
		if err != nil {
			return err
		}
		used[entry.Name()] = info.ModTime()
		if len(entry.Name()) != len(b.Commit) { // of a lab that had one commit only
			used[entry.Name()] = time.Time{}
		}
	}
	newest := slices.SortedFunc(maps.Keys(used), func(x, y string) int { return used[y].Compare(used[x]) })
	for i, name := range newest {
		if i >= keptCommits || used[name].IsZero() {
			err = errors.Join(err, os.RemoveAll(filepath.Join(base, name)))
		}
	}
	return errors.Join(err, os.RemoveAll(b.unfinished()))
}

func namesIn(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	names := make([]string, len(entries))
	for i, entry := range entries {
		names[i] = entry.Name()
	}
	return names, err
}

// copyTo makes a folder with copies of the named files of another one, with their modes.
func copyTo(ctx context.Context, dir, from string, names []string) error {
	if err := errors.Join(os.RemoveAll(dir), os.Mkdir(dir, 0o700)); err != nil {
		return err
	}
	command := exec.CommandContext(ctx, "cp", slices.Concat([]string{"-RPp", "--"}, names, []string{dir})...)
	command.Dir = from
	return explain(command.CombinedOutput())
}
