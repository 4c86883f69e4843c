// Package settings reads the settings of this replica from the environment, and reports all
// mistakes in them at once.
package settings

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
)

// How the service proves to PostgreSQL who it is.
const (
	// AuthPassword is a password, from a file or a variable.
	AuthPassword = "password"
	// AuthEntra is a Microsoft Entra token of the pod's workload identity.
	AuthEntra = "entra"
)

// defaultRateLimit is as much a second as the firewall lets through of one address in a minute.
const defaultRateLimit = 50

// Settings is the environment of one replica, checked.
type Settings struct {
	// HTTPAddress is where the service listens (HTTP_ADDRESS, default ":8080").
	HTTPAddress string
	// LogLevel is the least level that is logged (LOG_LEVEL: debug, info, warn, error; default info).
	LogLevel slog.Level
	// ShutdownDelay is how long readiness is refused, with every request still answered, before the
	// listener closes (SHUTDOWN_DELAY, default 5s): the time in which load balancers notice that
	// this replica is about to end.
	ShutdownDelay time.Duration
	// Retention is how long telemetry is kept (TELEMETRY_RETENTION, default 720h). Whole days are
	// deleted, so that a value lives for up to a day more.
	Retention time.Duration
	// IngestTokenFile holds the bearer tokens of the senders, one of which a request that writes
	// must bring (INGEST_TOKEN_FILE). Empty: every client that reaches the service may write.
	IngestTokenFile string
	// ReadNetworks are the networks whose clients see the page and read the API (READ_NETWORKS,
	// default: this machine).
	ReadNetworks []netip.Prefix
	// ProxyNetworks are those of the proxies in front of the service, whose X-Forwarded-For says
	// who a client is (PROXY_NETWORKS, default none).
	ProxyNetworks []netip.Prefix
	// RateLimit is how many requests a second this replica answers to a sender with a token, or to
	// a client address (RATE_LIMIT, default 50); 0 is no limit.
	RateLimit int
	// Database is where the telemetry is kept.
	Database Database
}

// Database says how to reach PostgreSQL (DATABASE_…).
type Database struct {
	// Host and Port (default 5432) of the server.
	Host string
	Port uint16
	// Name of the database (default gridos) and User that connects to it.
	Name, User string
	// Auth is AuthPassword (default) or AuthEntra.
	Auth string
	// PasswordFile is read whenever a connection is made, so that a rotated secret needs no restart.
	// Password is for when there is no such file. Neither is read when Auth is AuthEntra.
	PasswordFile, Password string
	// PreparedElsewhere says that gridos migrate maintains the schema and the partitions, as the
	// role that owns them. Without it the service does so, and its role has to own them
	// (DATABASE_PREPARED_BY: service, the default, or migrate).
	PreparedElsewhere bool
	// ServiceUser is the role that the service connects as, which gridos migrate lets in
	// (DATABASE_SERVICE_USER, default none). With a ServicePasswordFile it creates the role and sets
	// the password (DATABASE_SERVICE_PASSWORD_FILE). The service reads neither.
	ServiceUser, ServicePasswordFile string
	// SSLMode is disable, require, verify-ca or verify-full (default), the latter against the system's
	// roots.
	SSLMode string
	// PoolSize is how many connections this replica may have open (DATABASE_POOL_SIZE, default 8).
	PoolSize int32
}

// LogValue shows the database in logs without its password.
func (d Database) LogValue() slog.Value {
	return slog.GroupValue(
		slog.String("address", net.JoinHostPort(d.Host, strconv.Itoa(int(d.Port)))),
		slog.String("name", d.Name), slog.String("user", d.User), slog.String("auth", d.Auth), slog.String("sslmode", d.SSLMode))
}

// Load reads the settings from the environment, such as os.Getenv. An empty variable is one that is
// not set. The error names every variable that is wrong, what is wrong and what would be right, a
// line each.
func Load(getenv func(string) string) (Settings, error) {
	e := environment{getenv: getenv}
	s := Settings{
		HTTPAddress:     e.address("HTTP_ADDRESS", ":8080"),
		LogLevel:        e.level("LOG_LEVEL", slog.LevelInfo),
		ShutdownDelay:   e.duration("SHUTDOWN_DELAY", 5*time.Second, 0, 5*time.Minute),
		Retention:       e.duration("TELEMETRY_RETENTION", 30*24*time.Hour, 24*time.Hour, 366*24*time.Hour),
		IngestTokenFile: e.file("INGEST_TOKEN_FILE"),
		ReadNetworks:    e.networks("READ_NETWORKS", "127.0.0.0/8,::1/128"),
		ProxyNetworks:   e.networks("PROXY_NETWORKS", ""),
		RateLimit:       e.number("RATE_LIMIT", defaultRateLimit, 0, 100_000),
		Database: Database{
			Host:     e.required("DATABASE_HOST", "the name of the PostgreSQL server"),
			Port:     uint16(e.number("DATABASE_PORT", 5432, 1, 65535)),
			Name:     e.text("DATABASE_NAME", "gridos"),
			User:     e.required("DATABASE_USER", "the role that the service connects as"),
			Auth:     e.oneOf("DATABASE_AUTH", AuthPassword, AuthPassword, AuthEntra),
			SSLMode:  e.oneOf("DATABASE_SSLMODE", "verify-full", "disable", "require", "verify-ca", "verify-full"),
			PoolSize: int32(e.number("DATABASE_POOL_SIZE", 8, 2, 200)),

			PreparedElsewhere:   e.oneOf("DATABASE_PREPARED_BY", "service", "service", "migrate") == "migrate",
			ServiceUser:         e.text("DATABASE_SERVICE_USER", ""),
			ServicePasswordFile: e.file("DATABASE_SERVICE_PASSWORD_FILE"),
		},
	}
	if s.Database.ServicePasswordFile != "" && s.Database.ServiceUser == "" {
		e.wrong("DATABASE_SERVICE_USER is not set; give the role whose password is in DATABASE_SERVICE_PASSWORD_FILE")
	}
	switch s.Database.Auth {
	case AuthPassword:
		s.Database.PasswordFile, s.Database.Password = e.file("DATABASE_PASSWORD_FILE"), getenv("DATABASE_PASSWORD")
		switch {
		case s.Database.PasswordFile != "" && s.Database.Password != "":
			e.wrong("DATABASE_PASSWORD_FILE and DATABASE_PASSWORD are both set; keep the file, which may be rotated without a restart")
		case getenv("DATABASE_PASSWORD_FILE") == "" && s.Database.Password == "":
			e.wrong("DATABASE_PASSWORD_FILE is not set; give the path of the mounted secret, or set DATABASE_AUTH to entra")
		}
	case AuthEntra:
		if s.Database.SSLMode == "disable" {
			e.wrong(`DATABASE_SSLMODE is "disable", which would send a token in clear text; use verify-full when DATABASE_AUTH is entra`)
		}
	}
	return s, errors.Join(e.mistakes...)
}

// environment reads variables and collects what is wrong with them.
type environment struct {
	getenv   func(string) string
	mistakes []error
}

func (e *environment) wrong(format string, arguments ...any) {
	e.mistakes = append(e.mistakes, fmt.Errorf(format, arguments...))
}

func (e *environment) text(name, fallback string) string {
	if value := e.getenv(name); value != "" {
		return value
	}
	return fallback
}

func (e *environment) required(name, what string) string {
	value := e.getenv(name)
	if value == "" {
		e.wrong("%s is not set; give %s", name, what)
	}
	return value
}

func (e *environment) oneOf(name, fallback string, allowed ...string) string {
	value := e.text(name, fallback)
	if !slices.Contains(allowed, value) {
		e.wrong("%s is %q; use one of %s", name, value, strings.Join(allowed, ", "))
	}
	return value
}

func (e *environment) number(name string, fallback, least, most int) int {
	value := e.getenv(name)
	if value == "" {
		return fallback
	}
	n, err := strconv.Atoi(value)
	if err != nil || n < least || n > most {
		e.wrong("%s is %q; use a whole number from %d to %d", name, value, least, most)
		return fallback
	}
	return n
}

func (e *environment) duration(name string, fallback, least, most time.Duration) time.Duration {
	value := e.getenv(name)
	if value == "" {
		return fallback
	}
	d, err := time.ParseDuration(value)
	if err != nil || d < least || d > most {
		e.wrong("%s is %q; use a duration from %v to %v, such as 5s", name, value, least, most)
		return fallback
	}
	return d
}

func (e *environment) level(name string, fallback slog.Level) slog.Level {
	level := fallback
	if value := e.oneOf(name, strings.ToLower(fallback.String()), "debug", "info", "warn", "error"); value != "" {
		if err := level.UnmarshalText([]byte(value)); err != nil {
			return fallback // oneOf has reported it
		}
	}
	return level
}

func (e *environment) address(name, fallback string) string {
	value := e.text(name, fallback)
	_, port, err := net.SplitHostPort(value)
	if n, numberErr := strconv.Atoi(port); err != nil || numberErr != nil || n < 0 || n > 65535 {
		e.wrong("%s is %q; use host:port or :port, such as :8080", name, value)
	}
	return value
}

// networks are address ranges, separated by commas.
func (e *environment) networks(name, fallback string) (networks []netip.Prefix) {
	for text := range strings.SplitSeq(e.text(name, fallback), ",") {
		if text = strings.TrimSpace(text); text == "" {
			continue
		}
		network, err := netip.ParsePrefix(text)
		if err != nil || network != network.Masked() {
			e.wrong("%s has %q; use networks such as 10.0.0.0/8, separated by commas", name, text)
			continue
		}
		networks = append(networks, network)
	}
	return networks
}

// file returns a path that can be read now: the replica reports a secret that is not mounted at its
// start, not at the first request.
func (e *environment) file(name string) string {
	path := e.getenv(name)
	if path == "" {
		return ""
	}
	if _, err := os.ReadFile(path); err != nil {
		var cause *os.PathError
		if errors.As(err, &cause) {
			err = cause.Err
		}
		e.wrong("%s is %q, which cannot be read (%w); check that the secret is mounted there", name, path, err)
	}
	return path
}
