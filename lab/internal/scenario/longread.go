package scenario

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/gridos/sharedinfra/internal/naming"
	"github.com/gridos/sharedinfra/lab/internal/delivery/argo"
	"github.com/gridos/sharedinfra/lab/internal/delivery/database"
	"github.com/gridos/sharedinfra/lab/internal/host/process"
)

const (
	// dueDay is the partition of a day that every version of the service drops.
	dueDay = "telemetry_20200101"
	// lastDay is the newest partition, which the next version adds again.
	lastDay = "SELECT max(inhrelid::regclass::text) FROM pg_inherits WHERE inhparent = 'telemetry'::regclass"
	// requestsWaiting counts the requests that wait for a lock on a table. Reads and writes of the
	// service ask for these two modes, which only a lock on the whole table keeps out (PostgreSQL
	// documentation, "Explicit Locking", table-level locks).
	requestsWaiting = "SELECT count(*) FROM pg_locks WHERE NOT granted AND locktype = 'relation' " +
		"AND mode IN ('AccessShareLock', 'RowExclusiveLock')"
)

// longRead reads all telemetry in a transaction that stays open, as a report, a backup or a person
// does. During it a day is due to be dropped, another to be added, and a version is released.
func longRead(ctx context.Context, s *Stage) (evidence string, err error) {
	s.last = nil // undo would go back to the version before
	b, err := s.build(ctx, nil)
	if err != nil {
		return "", err
	}
	db, err := s.database(ctx)
	if err != nil {
		return "", err
	}
	last, err := db.execute(ctx, lastDay)
	if err != nil {
		return "", err
	}
	if _, err := db.execute(ctx, "DROP TABLE "+last, "CREATE TABLE "+dueDay+" (LIKE telemetry INCLUDING ALL)",
		"ALTER TABLE telemetry ATTACH PARTITION "+dueDay+" FOR VALUES FROM ('2020-01-01') TO ('2020-01-02')"); err != nil {
		return "", err
	}
	reading, err := db.read(ctx)
	if err != nil {
		return "", err
	}
	s.tell("long read", "a transaction has read telemetry; %s is due to be dropped, %s to be added", dueDay, last)
	defer func() {
		looks, kept := reading.end()
		back, cancel := soon(context.WithoutCancel(ctx))
		defer cancel()
		_, dropped := db.execute(back, "DROP TABLE IF EXISTS "+dueDay)
		if err = errors.Join(err, kept, dropped); err == nil {
			evidence = fmt.Sprintf("%s, and no request waited for a lock at %d looks", evidence, looks)
		}
	}()
	requests, err := s.unnoticed(ctx, func() error { return s.releaseBeside(ctx, b) })
	if err != nil {
		return "", err
	}
	added, err := db.execute(ctx, lastDay)
	if err == nil && added != last {
		err = fmt.Errorf("the newest partition is %s, and should be %s again", added, last)
	}
	if err != nil {
		return "", err
	}
	s.keep = true
	return fmt.Sprintf("%s was promoted and added %s beside a transaction that had read telemetry; 0 of %d requests failed",
		b.Tag, last, requests), nil
}

// releaseBeside releases a version, whose pods get ready in the usual time.
func (s *Stage) releaseBeside(ctx context.Context, b build) error {
	commit, err := s.release(ctx, b)
	if err != nil {
		return err
	}
	if _, err := s.synced(ctx, commit); err != nil {
		return err
	}
	starting, cancel := soon(ctx)
	defer cancel()
	if _, err := s.follow(starting, b.Tag, func(state argo.State) (bool, error) { return state.Routing.Canary > 0, nil }); err != nil {
		return fmt.Errorf("the canary did not get ready beside a long read: %w", err)
	}
	c, err := s.follow(ctx, b.Tag, throughout)
	if err == nil && !s.promoted(c.State) {
		err = fmt.Errorf("it was not promoted: %s", c.State.Rollout.Status.Message)
	}
	return err
}

// psql runs statements in the service's database, as its owner.
type psql struct {
	path        string
	args        []string
	environment []string
}

// database signs in as what prepares the database, whose password External Secrets has delivered.
func (s *Stage) database(ctx context.Context) (psql, error) {
	programs, err := database.Programs()
	if err != nil {
		return psql{}, err
	}
	host, port, err := net.SplitHostPort(s.status.Database)
	if err != nil {
		return psql{}, fmt.Errorf("the address of the database: %w", err)
	}
	state, err := s.observer.State()
	if err != nil {
		return psql{}, err
	}
	pods, err := s.readyPods(ctx, state.Rollout.Status.StableRS)
	if err != nil {
		return psql{}, err
	}
	settings := map[string]string{}
	for _, pod := range pods {
		for _, container := range pod.Spec.InitContainers {
			for _, variable := range container.Env {
				settings[variable.Name] = variable.Value
			}
		}
	}
	secret, err := s.cluster.Core.CoreV1().Secrets(naming.NamespaceGridOS).Get(ctx, "gridos-secrets", metav1.GetOptions{})
	if err != nil {
		return psql{}, err
	}
	return psql{
		path: filepath.Join(programs, "psql"),
		args: []string{
			"--no-psqlrc", "--quiet", "--no-align", "--tuples-only", "--set=ON_ERROR_STOP=1",
			fmt.Sprintf("host=%s port=%s user=%s dbname=%s sslmode=require",
				host, port, settings["DATABASE_USER"], settings["DATABASE_NAME"]),
		},
		environment: append(process.Environment(s.options.Dir), "PGPASSWORD="+string(secret.Data["database-password"])),
	}, nil
}

// command returns psql, not started; its complaints go to said.
func (p psql) command(ctx context.Context, said *bytes.Buffer) *exec.Cmd {
	command := exec.CommandContext(ctx, p.path, p.args...)
	command.Env, command.Stderr = p.environment, said
	return command
}

// execute runs statements, each in a transaction of its own, and returns what the last one says.
func (p psql) execute(ctx context.Context, statements ...string) (string, error) {
	var said bytes.Buffer
	command := p.command(ctx, &said)
	command.Stdin = strings.NewReader(strings.Join(statements, ";\n") + ";\n")
	answer, err := command.Output()
	if err != nil {
		return "", fmt.Errorf("psql: %w: %s", err, bytes.TrimSpace(said.Bytes()))
	}
	return string(bytes.TrimSpace(answer)), nil
}

// reading is a transaction that has read all telemetry.
type reading struct {
	stop  context.CancelFunc
	ended chan struct{}
	// looks is how often it has looked whether requests wait, and kept how often some did.
	looks, kept int
	err         error
}

// read begins the transaction, and looks ten times a second whether requests wait.
func (p psql) read(ctx context.Context) (*reading, error) {
	ctx, stop := context.WithCancel(ctx)
	r := &reading{stop: stop, ended: make(chan struct{})}
	var said bytes.Buffer
	command := p.command(context.WithoutCancel(ctx), &said)
	in, inErr := command.StdinPipe()
	out, outErr := command.StdoutPipe()
	if err := errors.Join(inErr, outErr, command.Start()); err != nil {
		stop()
		return nil, fmt.Errorf("psql: %w", err)
	}
	lines := bufio.NewScanner(out)
	ask := func(statement string) (int, error) {
		if _, err := io.WriteString(in, statement+";\n"); err != nil {
			return 0, err
		}
		if !lines.Scan() {
			return 0, errors.Join(errors.New("it has ended"), lines.Err())
		}
		return strconv.Atoi(lines.Text())
	}
	_, began := ask("BEGIN;\nSELECT count(*) FROM telemetry")
	go func() {
		defer close(r.ended)
		err := began
		for err == nil && ctx.Err() == nil {
			var waits int
			if waits, err = ask(requestsWaiting); waits > 0 {
				r.kept++
			}
			r.looks++
			select {
			case <-ctx.Done():
			case <-time.After(100 * time.Millisecond):
			}
		}
		if err = errors.Join(err, in.Close(), command.Wait()); err != nil {
			r.err = fmt.Errorf("psql: %w: %s", err, bytes.TrimSpace(said.Bytes()))
		}
	}()
	if began != nil {
		_, err := r.end()
		return nil, err
	}
	return r, nil
}

// end ends the transaction. It returns how often it looked, and an error if requests waited.
func (r *reading) end() (looks int, err error) {
	r.stop()
	<-r.ended
	if r.kept > 0 {
		err = fmt.Errorf("requests waited for a lock on a table at %d of %d looks beside a long read, and should wait for none",
			r.kept, r.looks)
	}
	return r.looks, errors.Join(err, r.err)
}
