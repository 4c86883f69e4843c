// Package pgtest runs a real PostgreSQL server for tests and measurements, on loopback and in a
// folder of its own.
package pgtest

import (
	"bufio"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/gridos/sharedinfra/src/internal/settings"
)

// ErrNoPostgres says that no PostgreSQL server is installed.
var ErrNoPostgres = errors.New("no PostgreSQL server on PATH nor in /usr/lib/postgresql; install the package postgresql")

// Server is a running PostgreSQL server. The zero value is of no use; see New.
type Server struct {
	dir, bin, password string
	port               int
	options            []string
	credential         *syscall.Credential
	process            *exec.Cmd
	exited             chan error
	databases          atomic.Int32
}

// Binary is the path of a program that comes with the newest installed PostgreSQL server.
func Binary(name string) (string, error) {
	if path, err := exec.LookPath(name); err == nil && name != "pgbench" { // on Debian a wrapper, whose version may differ
		return path, nil
	}
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/" + name)
	if err != nil || len(found) == 0 {
		return "", ErrNoPostgres
	}
	version := func(path string) int {
		n, _ := strconv.Atoi(filepath.Base(filepath.Dir(filepath.Dir(path)))) // a text that is no number comes first
		return n
	}
	return slices.MaxFunc(found, func(a, b string) int { return version(a) - version(b) }), nil
}

// New makes a database cluster in a temporary folder and starts it, with more options for postgres
// such as "-F". Stop it with Remove. PostgreSQL refuses to run as root: when root calls this, the
// server runs as another user.
func New(ctx context.Context, options ...string) (_ *Server, err error) {
	s, err := newServer(ctx, rand.Text(), options)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Remove())
		}
	}()
	secret := filepath.Join(s.dir, "password")
	if err := os.WriteFile(secret, []byte(s.password+"\n"), 0o644); err != nil { // the folder is closed to others
		return nil, err
	}
	if err := run(s.command(ctx, "initdb", "-D", s.data(), "-U", administrator, "--pwfile="+secret,
		"--auth=scram-sha-256", "--encoding=UTF8", "--locale=C", "--no-sync")); err != nil {
		return nil, err
	}
	return s, s.Start(ctx)
}

// administrator is the role that initdb makes.
const administrator = "postgres"

// newServer is a server without files: a folder and a port for it.
func newServer(ctx context.Context, password string, options []string) (*Server, error) {
	initdb, err := Binary("initdb")
	if err != nil {
		return nil, err
	}
	// On PATH may be links to some of the programs; the others are where the links lead.
	if initdb, err = filepath.EvalSymlinks(initdb); err != nil {
		return nil, err
	}
	port, err := freePort(ctx)
	if err != nil {
		return nil, err
	}
	dir, credential, err := folder("gridos-postgres-")
	if err != nil {
		return nil, err
	}
	return &Server{
		dir: dir, bin: filepath.Dir(initdb), password: password, port: port, options: options, credential: credential,
	}, nil
}

// folder makes a temporary folder that only PostgreSQL's programs, and root, can read. The
// credential is the user that they run as, if it is not this process' own.
func folder(pattern string) (dir string, credential *syscall.Credential, err error) {
	if os.Geteuid() == 0 {
		if credential, err = unprivileged(); err != nil {
			return "", nil, err
		}
	}
	if dir, err = os.MkdirTemp("", pattern); err != nil {
		return "", nil, err
	}
	if credential != nil {
		if err := os.Chown(dir, int(credential.Uid), int(credential.Gid)); err != nil {
			return "", nil, errors.Join(err, os.RemoveAll(dir))
		}
	}
	return dir, credential, nil
}

// command is one of the programs that come with the server, as the user of the server.
func (s *Server) command(ctx context.Context, name string, arguments ...string) *exec.Cmd {
	command := exec.CommandContext(ctx, filepath.Join(s.bin, name), arguments...)
	command.Dir = s.dir
	command.SysProcAttr = &syscall.SysProcAttr{Credential: s.credential}
	return command
}

// run runs a command, whose output is in the error if it fails.
func run(command *exec.Cmd) error {
	if output, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %s", filepath.Base(command.Path), err, output)
	}
	return nil
}

// put writes a file into the server's data.
func (s *Server) put(name string, content []byte) error {
	path := filepath.Join(s.data(), name)
	if err := os.WriteFile(path, content, 0o600); err != nil {
		return err
	}
	if s.credential == nil {
		return nil
	}
	return os.Chown(path, int(s.credential.Uid), int(s.credential.Gid))
}

func (s *Server) data() string { return filepath.Join(s.dir, "data") }

// Port is where the server listens on 127.0.0.1.
func (s *Server) Port() int { return s.port }

// Start starts a stopped server on the port it had, and returns when it accepts connections.
func (s *Server) Start(ctx context.Context) error {
	arguments := append([]string{
		"-D", s.data(), "-h", "127.0.0.1", "-p", strconv.Itoa(s.port), "-k", s.dir,
		"-c", "log_min_messages=warning", "-c", "log_destination=stderr", "-c", "logging_collector=off",
	}, s.options...)
	s.process = s.command(context.WithoutCancel(ctx), "postgres", arguments...)
	// If the test is killed, the server ends too; Ctrl-C reaches only the test.
	s.process.SysProcAttr.Pdeathsig, s.process.SysProcAttr.Setpgid = syscall.SIGQUIT, true
	log, err := s.process.StderrPipe()
	if err != nil {
		return err
	}
	if err := s.process.Start(); err != nil {
		return err
	}
	ready, exited := make(chan struct{}), make(chan error, 1)
	var tail []string
	go func() {
		for lines := bufio.NewScanner(log); lines.Scan(); {
			if strings.Contains(lines.Text(), "database system is ready to accept connections") {
				close(ready)
			}
			if len(tail) < 50 {
				tail = append(tail, lines.Text())
			}
		}
		err := s.process.Wait()
		select {
		case <-ready:
		default:
			err = fmt.Errorf("postgres ended before it was ready: %w: %s", err, strings.Join(tail, "\n"))
		}
		exited <- err
	}()
	s.exited = exited
	select {
	case <-ready:
		return nil
	case err := <-exited:
		s.process = nil
		return err
	case <-ctx.Done():
		return errors.Join(ctx.Err(), s.Stop(syscall.SIGQUIT))
	}
}

// Stop ends a running server: SIGINT ends all connections first, SIGQUIT is like a power failure.
// It returns when the server is gone.
func (s *Server) Stop(signal syscall.Signal) error {
	if s.process == nil {
		return nil
	}
	if err := s.process.Process.Signal(signal); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	select {
	case <-s.exited:
	case <-time.After(30 * time.Second):
		return errors.Join(errors.New("postgres did not end in 30 s; it was killed"), s.process.Process.Kill())
	}
	s.process = nil
	return nil
}

// Remove stops the server and deletes its folder.
func (s *Server) Remove() error { return errors.Join(s.Stop(syscall.SIGQUIT), os.RemoveAll(s.dir)) }

// Database makes an empty database with an owner and a password of its own.
func (s *Server) Database(ctx context.Context) (settings.Database, error) {
	name, password := fmt.Sprintf("gridos%d", s.databases.Add(1)), rand.Text()
	err := s.Execute(ctx,
		fmt.Sprintf(`CREATE ROLE %s LOGIN PASSWORD '%s'`, name, password),
		fmt.Sprintf(`CREATE DATABASE %s OWNER %s`, name, name))
	return settings.Database{
		Host: "127.0.0.1", Port: uint16(s.port), Name: name, User: name, Password: password,
		Auth: settings.AuthPassword, SSLMode: "disable", PoolSize: 8,
	}, err
}

// AzureDatabase is Database, whose owner is as Azure makes the administrator: it creates roles, is
// no superuser, and owns the database through a group (azure_pg_admin).
func (s *Server) AzureDatabase(ctx context.Context) (settings.Database, error) {
	database, err := s.Database(ctx)
	if err != nil {
		return database, err
	}
	return database, s.Execute(ctx, `CREATE ROLE azure_pg_admin`, `GRANT azure_pg_admin TO `+database.User,
		`ALTER ROLE `+database.User+` CREATEROLE`, `ALTER DATABASE `+database.Name+` OWNER TO azure_pg_admin`)
}

// Execute runs statements as the administrator, each by itself.
func (s *Server) Execute(ctx context.Context, statements ...string) error {
	return s.ExecuteIn(ctx, "postgres", statements...)
}

// ExecuteIn is Execute in one of the databases.
func (s *Server) ExecuteIn(ctx context.Context, database string, statements ...string) error {
	connection, err := s.connect(ctx, database)
	if err != nil {
		return err
	}
	defer connection.Close(context.WithoutCancel(ctx)) // nothing is lost with it
	for _, statement := range statements {
		if _, err := connection.Exec(ctx, statement); err != nil {
			return err
		}
	}
	return nil
}

// Version is the version of the server.
func (s *Server) Version(ctx context.Context) (version string, err error) {
	connection, err := s.connect(ctx, "postgres")
	if err != nil {
		return "", err
	}
	defer connection.Close(context.WithoutCancel(ctx)) // nothing is lost with it
	err = connection.QueryRow(ctx, `SHOW server_version`).Scan(&version)
	return version, err
}

// Reading begins a transaction that has read a table of a database, as pg_dump does, and stays open
// until it is finished.
func (s *Server) Reading(ctx context.Context, database, table string) (finish func() error, err error) {
	connection, err := s.connect(ctx, database)
	if err != nil {
		return nil, err
	}
	finish = func() error { return connection.Close(context.WithoutCancel(ctx)) }
	for _, statement := range []string{
		`BEGIN ISOLATION LEVEL REPEATABLE READ`, `SELECT count(*) FROM ` + pgx.Identifier{table}.Sanitize(),
	} {
		if _, err := connection.Exec(ctx, statement); err != nil {
			return nil, errors.Join(err, finish())
		}
	}
	return finish, nil
}

func (s *Server) connect(ctx context.Context, database string) (*pgx.Conn, error) {
	return pgx.Connect(ctx, fmt.Sprintf("postgres://%s:%s@127.0.0.1:%d/%s?sslmode=disable", administrator, s.password, s.port, database))
}

// unprivileged is a user whom PostgreSQL accepts: its own if the package is installed, or the
// system's user without rights.
func unprivileged() (*syscall.Credential, error) {
	account, err := user.Lookup("postgres")
	if err != nil {
		account, err = user.Lookup("nobody")
	}
	if err != nil {
		return nil, fmt.Errorf("PostgreSQL does not run as root, and there is no other user for it: %w", err)
	}
	uid, err := strconv.ParseUint(account.Uid, 10, 32)
	if err != nil {
		return nil, err
	}
	gid, err := strconv.ParseUint(account.Gid, 10, 32)
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, err
}

// freePort is a port that was free a moment ago. The server keeps it over restarts, so it cannot
// choose one itself.
func freePort(ctx context.Context) (int, error) {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	address, ok := listener.Addr().(*net.TCPAddr)
	if !ok {
		return 0, fmt.Errorf("%v is no TCP address", listener.Addr())
	}
	return address.Port, listener.Close()
}
