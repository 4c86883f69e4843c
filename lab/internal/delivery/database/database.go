// Package database runs PostgreSQL in the place of Azure Database for PostgreSQL: one server of
// this machine, on the loopback interface, with TLS only, with the administrator, the rights and
// the databases that the simulated Azure has.
package database

import (
	"context"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/cenkalti/backoff/v5"
	"k8s.io/client-go/util/cert"

	"github.com/gridos/sharedinfra/lab/internal/host/process"
)

// programs are those of PostgreSQL that the server needs.
var programs = []string{"initdb", "postgres", "psql"}

// errMissing says that PostgreSQL is not installed.
var errMissing = errors.New("there is no PostgreSQL server on PATH nor in /usr/lib/postgresql; install the package postgresql")

// Programs returns the folder with the programs of the newest PostgreSQL server that is installed.
func Programs() (string, error) {
	if path, err := exec.LookPath("initdb"); err == nil {
		if path, err = filepath.EvalSymlinks(path); err == nil { // the others are where a link leads
			return filepath.Dir(path), nil
		}
	}
	// Debian has them in a folder for each version, beside PATH.
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin")
	if err != nil {
		return "", err
	}
	best, newest := "", 0
	for _, dir := range found {
		version, err := strconv.Atoi(filepath.Base(filepath.Dir(dir)))
		if err == nil && version > newest && hasAll(dir) {
			best, newest = dir, version
		}
	}
	if best == "" {
		return "", errMissing
	}
	return best, nil
}

func hasAll(dir string) bool {
	for _, name := range programs {
		if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
			return false
		}
	}
	return true
}

// Options say what the server has.
type Options struct {
	// Dir has its data, its certificate and its log. It is created with mode 0700.
	Dir string
	// Programs is the folder with PostgreSQL's programs.
	Programs string
	// Host is the name for which it has a certificate, and Port its port of the loopback interface.
	Host string
	Port int
	// Administrator is its administrator's login. As in Azure it is no superuser (ehrbase/ehrbase#1317).
	// That it creates roles and databases, and owns the databases through a group, is inferred
	// `database-administrator`.
	Administrator string
	// Databases are its databases.
	Databases []string
}

// Server is a running PostgreSQL server.
type Server struct {
	options  Options
	superior string // the superuser's password
	process  *process.Process
}

// superuser is the role that makes the others, in the place of Azure's own.
const superuser = "azuresu"

// group owns the databases, as in Azure: the administrator does so as its member.
const group = "azure_pg_admin"

// Start brings the server up, with the data of an earlier run if there is one. The caller stops it.
// The administrator cannot sign in before SetPassword.
func Start(ctx context.Context, options Options) (*Server, error) {
	s := &Server{options: options}
	if err := s.prepare(ctx); err != nil {
		return nil, fmt.Errorf("the lab's PostgreSQL: %w", err)
	}
	s.process = &process.Process{
		Name: "postgres", Path: filepath.Join(options.Programs, "postgres"), Unprivileged: true,
		Args: []string{
			"-D", s.data(), "-h", process.Loopback, "-p", strconv.Itoa(options.Port), "-k", "",
			"-c", "ssl=on", "-c", "ssl_cert_file=" + s.path("server.crt"), "-c", "ssl_key_file=" + s.path("server.key"),
			"-c", "hba_file=" + s.path("hba.conf"),
			"-c", "fsync=off", "-c", "full_page_writes=off", // only a power cut loses data by it
			"-c", "log_min_messages=warning",
		},
		End: syscall.SIGINT, // ends the connections of clients, and waits for none
		Log: s.path("postgres.log"), Ready: "tcp://" + process.HostPort(options.Port),
	}
	limited, cancel := context.WithTimeout(ctx, process.StartTimeout)
	defer cancel()
	err := s.process.Start(limited)
	if err == nil {
		// The server listens before it lets clients in.
		_, err = backoff.Retry(limited, func() (struct{}, error) {
			err := s.fill(limited)
			if err != nil && !strings.Contains(err.Error(), "the database system is starting up") {
				err = backoff.Permanent(err)
			}
			return struct{}{}, err
		}, backoff.WithBackOff(backoff.NewConstantBackOff(100*time.Millisecond)), backoff.WithMaxElapsedTime(0))
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("the lab's PostgreSQL: %w", err), s.Stop())
	}
	return s, nil
}

func (s *Server) path(name string) string { return filepath.Join(s.options.Dir, name) }

func (s *Server) data() string { return s.path("data") }

// Stop ends the server. Stopping twice is no error.
func (s *Server) Stop() error { return s.process.Stop() }

// Watch reports the end of the server unless Stop was called.
func (s *Server) Watch(report chan<- error) { s.process.Watch(report) }

// Address is where it listens, host:port.
func (s *Server) Address() string { return process.HostPort(s.options.Port) }

// Host is the name that its certificate is for.
func (s *Server) Host() string { return s.options.Host }

// Roots returns the certificate, in PEM, by which clients know the server. Azure's servers have
// certificates of public authorities.
func (s *Server) Roots() ([]byte, error) { return os.ReadFile(s.path("server.crt")) }

// prepare makes the data, the certificate and the rules for clients, unless they are there.
func (s *Server) prepare(ctx context.Context) error {
	if err := os.MkdirAll(s.options.Dir, 0o700); err != nil {
		return err
	}
	secret := s.path("superuser.password")
	password, err := os.ReadFile(secret)
	if errors.Is(err, fs.ErrNotExist) {
		password = []byte(rand.Text())
		err = os.WriteFile(secret, password, 0o600)
	}
	if err != nil {
		return err
	}
	s.superior = string(password)
	if err := s.certify(); err != nil {
		return err
	}
	rules := "hostssl all all " + process.Loopback + "/32 scram-sha-256\n"
	if err := os.WriteFile(s.path("hba.conf"), []byte(rules), 0o600); err != nil {
		return err
	}
	if _, err := os.Stat(filepath.Join(s.data(), "PG_VERSION")); err == nil {
		return nil
	}
	if err := os.RemoveAll(s.data()); err != nil { // the rest of an interrupted initdb
		return err
	}
	initdb := exec.CommandContext(ctx, filepath.Join(s.options.Programs, "initdb"), "-D", s.data(), "-U", superuser,
		"--pwfile="+secret, "--auth=scram-sha-256", "--encoding=UTF8", "--locale=C", "--no-sync", "--no-instructions")
	initdb.SysProcAttr = process.Unprivileged()
	initdb.Env = process.Environment(s.options.Dir)
	if said, err := initdb.CombinedOutput(); err != nil {
		return fmt.Errorf("initdb: %w: %s", err, strings.TrimSpace(string(said)))
	}
	return nil
}

// certify makes a certificate for the server's name, unless there is one that is valid for a month.
func (s *Server) certify() error {
	if content, err := os.ReadFile(s.path("server.crt")); err == nil {
		if block, _ := pem.Decode(content); block != nil {
			if known, err := x509.ParseCertificate(block.Bytes); err == nil &&
				known.VerifyHostname(s.options.Host) == nil && time.Until(known.NotAfter) > 30*24*time.Hour {
				return nil
			}
		}
	}
	certificate, key, err := cert.GenerateSelfSignedCertKey(s.options.Host, nil, nil)
	if err != nil {
		return err
	}
	return errors.Join(os.WriteFile(s.path("server.key"), key, 0o600), os.WriteFile(s.path("server.crt"), certificate, 0o600))
}

// fill makes the roles and the databases, unless they are there.
func (s *Server) fill(ctx context.Context) error {
	role := func(name, rights string) string {
		return fmt.Sprintf("SELECT 'CREATE ROLE %s %s' WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '%[1]s') \\gexec\n",
			name, rights)
	}
	statements := role(group, "NOLOGIN") + role(s.options.Administrator, "LOGIN CREATEROLE CREATEDB") +
		fmt.Sprintf("GRANT %s TO %s;\n", group, s.options.Administrator)
	for _, name := range s.options.Databases {
		statements += fmt.Sprintf("SELECT 'CREATE DATABASE %s OWNER %s' WHERE NOT EXISTS "+
			"(SELECT FROM pg_database WHERE datname = '%[1]s') \\gexec\n", name, group)
	}
	return s.execute(ctx, statements)
}

// SetPassword sets the administrator's password.
func (s *Server) SetPassword(ctx context.Context, password string) error {
	quoted := strings.ReplaceAll(password, "'", "''")
	err := s.execute(ctx, fmt.Sprintf("ALTER ROLE %s PASSWORD '%s';\n", s.options.Administrator, quoted))
	if err != nil {
		return fmt.Errorf("the lab's PostgreSQL: set the administrator's password: %w", err)
	}
	return nil
}

// execute runs statements as the superuser. They come on standard input, for every user of the
// machine can read arguments.
func (s *Server) execute(ctx context.Context, statements string) error {
	psql := exec.CommandContext(ctx, filepath.Join(s.options.Programs, "psql"), "--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1",
		fmt.Sprintf("host=%s port=%d user=%s dbname=postgres sslmode=require", process.Loopback, s.options.Port, superuser))
	psql.Env = append(process.Environment(s.options.Dir), "PGPASSWORD="+s.superior)
	psql.Stdin = strings.NewReader(statements)
	if said, err := psql.CombinedOutput(); err != nil {
		return fmt.Errorf("psql: %w: %s", err, strings.TrimSpace(string(said)))
	}
	return nil
}
