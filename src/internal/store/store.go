// Package store keeps telemetry in PostgreSQL.
package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/url"
	"os"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/gridos/sharedinfra/src/internal/settings"
)

// TokenScope is the scope that an Entra token must have to serve as a password of Azure Database
// for PostgreSQL. Source:
// https://learn.microsoft.com/azure/postgresql/flexible-server/how-to-configure-sign-in-azure-ad-authentication
const TokenScope = "https://ossrdbms-aad.database.windows.net/.default"

// Store is a pool of connections to the database. Its methods may be called at the same time.
type Store struct {
	pool *pgxpool.Pool
	// probe has one connection, for Ping: if Ping had to wait for a connection of the requests,
	// high load would look like a lost database, and take one replica after the other out of
	// service.
	probe  *pgxpool.Pool
	logger *slog.Logger
	// oldest is when the oldest partition begins, in seconds since 1970; 0 until the partitions
	// were listed.
	oldest atomic.Int64
	// newest is when the newest stored sample was measured, in seconds since 1970; 0 until there is
	// one.
	newest atomic.Int64
}

// errNoPassword says that there is no password to sign in with at the moment.
var errNoPassword = errors.New("no password for the database")

// Open prepares the pool and does not connect: the database may come up after the service does. If
// the settings say Entra, each new connection asks the credential for a token; if not, the
// credential may be nil.
func Open(ctx context.Context, database settings.Database, credential azcore.TokenCredential, logger *slog.Logger) (*Store, error) {
	address := url.URL{
		Scheme: "postgres", Host: net.JoinHostPort(database.Host, strconv.Itoa(int(database.Port))), Path: "/" + database.Name,
		RawQuery: url.Values{"sslmode": {database.SSLMode}}.Encode(),
	}
	config, err := pgxpool.ParseConfig(address.String())
	if err != nil {
		return nil, fmt.Errorf("the settings of the database make no address: %w", err)
	}
	config.ConnConfig.User = database.User
	config.ConnConfig.ConnectTimeout = 5 * time.Second
	// The database ends statements that the service has given up, even when the service can no
	// longer cancel them.
	for name, value := range map[string]string{
		"application_name":                    "gridos",
		"timezone":                            "UTC",
		"statement_timeout":                   "5s",
		"idle_in_transaction_session_timeout": "10s",
	} {
		config.ConnConfig.RuntimeParams[name] = value
	}
	config.MaxConns = database.PoolSize
	// Connections end after a while, so that a rotated password and a failed-over server are noticed
	// by all.
	config.MaxConnLifetime, config.MaxConnLifetimeJitter = 30*time.Minute, 5*time.Minute
	config.MaxConnIdleTime = 5 * time.Minute
	config.BeforeConnect = func(ctx context.Context, connection *pgx.ConnConfig) (err error) {
		connection.Password, err = password(ctx, database, credential)
		return err
	}
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, fmt.Errorf("the connection pool cannot be made: %w", err)
	}
	single := config.Copy()
	single.MaxConns = 1
	probe, err := pgxpool.NewWithConfig(ctx, single)
	if err != nil {
		pool.Close()
		return nil, fmt.Errorf("the connection pool cannot be made: %w", err)
	}
	return &Store{pool: pool, probe: probe, logger: logger}, nil
}

// password is what the next connection signs in with.
func password(ctx context.Context, database settings.Database, credential azcore.TokenCredential) (string, error) {
	switch {
	case database.Auth == settings.AuthEntra:
		token, err := credential.GetToken(ctx, policy.TokenRequestOptions{Scopes: []string{TokenScope}})
		if err != nil {
			return "", fmt.Errorf("%w: no Entra token; check the federated credential of the pod's service account: %w",
				errNoPassword, err)
		}
		return token.Token, nil
	case database.PasswordFile != "":
		content, err := os.ReadFile(database.PasswordFile)
		if err != nil {
			return "", fmt.Errorf("%w: the file cannot be read; check that the secret is mounted: %w", errNoPassword, err)
		}
		return string(bytes.TrimRight(content, "\r\n")), nil
	default:
		return database.Password, nil
	}
}

// Close ends all connections, after the statements that run.
func (s *Store) Close() {
	s.pool.Close()
	s.probe.Close()
}

// Ping fails when the database does not answer.
func (s *Store) Ping(ctx context.Context) error {
	if err := s.probe.Ping(ctx); err != nil {
		return fmt.Errorf("the database does not answer: %w", err)
	}
	return nil
}

// Unavailable says whether err means that the database cannot be reached, or cannot serve at the
// moment: the same request may succeed later.
func Unavailable(err error) bool {
	var connect *pgconn.ConnectError
	var network net.Error
	if errors.As(err, &connect) || errors.As(err, &network) || errors.Is(err, context.DeadlineExceeded) || pgconn.SafeToRetry(err) ||
		errors.Is(err, net.ErrClosed) || errors.Is(err, errNoPassword) {
		return true
	}
	var answer *pgconn.PgError
	if !errors.As(err, &answer) || len(answer.Code) != 5 {
		return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) // the server went away in the middle of an answer
	}
	switch answer.Code[:2] {
	case "08", "53", "57": // connection exception, insufficient resources, operator intervention (shutdown, statement_timeout)
		return true
	}
	switch answer.Code {
	case "25006", "40001", "40P01", "55P03": // read-only after a failover, serialization, deadlock, lock not available
		return true
	}
	return false
}
