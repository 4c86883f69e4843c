package service_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/gridos/sharedinfra/src/internal/pgtest"
	"github.com/gridos/sharedinfra/src/internal/service"
	"github.com/gridos/sharedinfra/src/internal/servicetest"
	"github.com/gridos/sharedinfra/src/internal/settings"
)

// roles are the two of an environment, in a server of their own.
type roles struct {
	server *pgtest.Server
	// owner is the database as gridos migrate gets it, and pods as the service does.
	owner, pods settings.Database
	// file holds the password of the pods.
	file string
}

func newRoles(t *testing.T) roles {
	t.Helper()
	server := pgtest.Own(t)
	owner, err := server.AzureDatabase(t.Context())
	require.NoError(t, err)
	file := filepath.Join(t.TempDir(), "password")
	require.NoError(t, os.WriteFile(file, []byte("the-first-password\n"), 0o600))
	pods := owner
	pods.User, pods.Password, pods.PasswordFile, pods.PreparedElsewhere = "gridos", "", file, true
	owner.ServiceUser, owner.ServicePasswordFile = pods.User, file
	return roles{server: server, owner: owner, pods: pods, file: file}
}

func (r roles) migrate(ctx context.Context) error {
	return service.Prepare(ctx, settings.Settings{Database: r.owner, Retention: 48 * time.Hour}, slog.New(slog.DiscardHandler))
}

func (r roles) connect(ctx context.Context, password string) (*pgx.Conn, error) {
	return pgx.Connect(ctx, fmt.Sprintf("postgres://%s:%s@127.0.0.1:%d/%s?sslmode=disable",
		r.pods.User, password, r.pods.Port, r.pods.Name))
}

func TestService_ThePodsRoleReadsAndWritesRowsAndNoMore(t *testing.T) {
	t.Parallel()
	r := newRoles(t)
	replica := servicetest.Start(t, settings.Settings{Database: r.pods})
	replica.Ready(t, false) // it came before its database was prepared
	require.NoError(t, r.migrate(t.Context()))
	replica.Ready(t, true)
	replica.Must(t, http.MethodPut, "/api/v1/substations/nord", nord)
	replica.Must(t, http.MethodPost, "/api/v1/telemetry", batch(sample(time.Now(), 110)))
	assert.Contains(t, replica.Must(t, http.MethodGet, "/api/v1/substations", nil), `"value":110`)

	connection, err := r.connect(t.Context(), "the-first-password")
	require.NoError(t, err)
	defer connection.Close(context.WithoutCancel(t.Context()))
	today := "telemetry_" + time.Now().UTC().Format("20060102")
	for _, statement := range []string{
		`DROP DATABASE ` + r.pods.Name, `CREATE DATABASE another`, `CREATE ROLE another`, `ALTER ROLE ` + r.owner.User + ` PASSWORD 'x'`,
		`SET ROLE ` + r.owner.User, `CREATE TABLE another (id integer)`, `CREATE SCHEMA another`,
		`DROP TABLE points CASCADE`, `DROP TABLE ` + today,
		`ALTER TABLE telemetry DETACH PARTITION ` + today, `ALTER TABLE points ADD COLUMN x text`,
		`TRUNCATE telemetry`, `DELETE FROM telemetry`, `DELETE FROM points`, `SELECT FROM ` + today,
		`UPDATE goose_db_version SET version_id = 0`, `COPY points TO PROGRAM 'true'`,
	} {
		_, err := connection.Exec(t.Context(), statement)
		var refused *pgconn.PgError
		if assert.ErrorAs(t, err, &refused, statement) {
			assert.Equal(t, "42501", refused.Code, "%s: insufficient privilege, and not %s", statement, refused.Message)
		}
	}
}

// An environment whose pods signed in as the administrator: they stay while the canary runs, and
// also after an abort.
func TestService_OldPodsWorkBesideThoseOfARoleOfTheirOwn(t *testing.T) {
	t.Parallel()
	r := newRoles(t)
	before := settings.Settings{Database: r.owner}
	before.Database.ServiceUser, before.Database.ServicePasswordFile = "", ""
	old := servicetest.Start(t, before)
	old.Ready(t, true)
	old.Must(t, http.MethodPut, "/api/v1/substations/nord", nord)
	old.Must(t, http.MethodPost, "/api/v1/telemetry", batch(sample(time.Now().Add(-time.Second), 109)))

	var several errgroup.Group // the first pods of the canary, and the CronJob
	for range 5 {
		several.Go(func() error { return r.migrate(t.Context()) })
	}
	require.NoError(t, several.Wait())
	canary := servicetest.Start(t, settings.Settings{Database: r.pods})
	canary.Ready(t, true)
	assert.Contains(t, canary.Must(t, http.MethodGet, "/api/v1/substations", nil), `"value":109`, "what was there is there")
	restarted := servicetest.Start(t, before)
	restarted.Ready(t, true)
	for i, replica := range []*servicetest.Replica{canary, old, restarted} {
		value := 110 + i
		replica.Must(t, http.MethodPut, "/api/v1/substations/nord", nord)
		replica.Must(t, http.MethodPost, "/api/v1/telemetry", batch(sample(time.Now(), value)))
		for _, reader := range []*servicetest.Replica{canary, old} {
			assert.Contains(t, reader.Must(t, http.MethodGet, "/api/v1/substations", nil), fmt.Sprintf(`"value":%d`, value))
		}
	}
}

func TestService_APasswordOfThePodsIsReplacedWithoutARestart(t *testing.T) {
	t.Parallel()
	r := newRoles(t)
	require.NoError(t, r.migrate(t.Context()))
	replica := servicetest.Start(t, settings.Settings{Database: r.pods})
	replica.Ready(t, true)
	require.NoError(t, os.WriteFile(r.file, []byte("the-second-password\n"), 0o600))
	status, body := replica.Get(t, "/api/v1/substations")
	assert.Equal(t, http.StatusOK, status, "a connection that is open stays: %s", body)
	require.NoError(t, r.migrate(t.Context()))
	_, err := r.connect(t.Context(), "the-first-password")
	require.ErrorContains(t, err, "28P01", "the first password is refused")
	connection, err := r.connect(t.Context(), "the-second-password")
	require.NoError(t, err)
	require.NoError(t, connection.Close(t.Context()))
	another := servicetest.Start(t, settings.Settings{Database: r.pods})
	another.Ready(t, true)
}

func TestService_ARoleThatCannotBeLetInIsNamed(t *testing.T) {
	t.Parallel()
	r := newRoles(t)
	for name, c := range map[string]struct {
		change func(*settings.Database)
		want   string
	}{
		"the owner itself":      {func(d *settings.Database) { d.ServiceUser = d.User }, "it is the role that owns the tables"},
		"a role that is absent": {func(d *settings.Database) { d.ServiceUser, d.ServicePasswordFile = "nobody", "" }, "it is not there"},
		"an odd password": {func(d *settings.Database) {
			d.ServicePasswordFile = filepath.Join(t.TempDir(), "odd")
			require.NoError(t, os.WriteFile(d.ServicePasswordFile, []byte("pässword"), 0o600))
		}, "not printable ASCII"},
		"an empty password": {func(d *settings.Database) {
			d.ServicePasswordFile = filepath.Join(t.TempDir(), "empty")
			require.NoError(t, os.WriteFile(d.ServicePasswordFile, []byte("\n"), 0o600))
		}, "is empty"},
	} {
		database := r.owner
		c.change(&database)
		log := new(servicetest.Log)
		ctx, stop := context.WithTimeout(t.Context(), 5*time.Second)
		defer stop()
		done := make(chan error, 1)
		logger := slog.New(slog.NewTextHandler(log, nil))
		go func() {
			done <- service.Prepare(ctx, settings.Settings{Database: database, Retention: 48 * time.Hour}, logger)
		}()
		assert.Eventually(t, func() bool { return strings.Contains(log.String(), c.want) }, 4*time.Second, 20*time.Millisecond, name)
		stop()
		require.Error(t, <-done, name)
	}
}

// The statement of docs/application.md, with which an Entra administrator makes the role. Azure's
// function makes an ordinary role with a label; this one leaves the label out.
func TestService_ARoleOfEntraIsLetInWithoutAPassword(t *testing.T) {
	t.Parallel()
	manual, err := os.ReadFile("../../../docs/application.md")
	require.NoError(t, err)
	statement := regexp.MustCompile(`SELECT \* FROM pg_catalog\.pgaadauth_create_principal_with_oid\('(\w+)', '<object id>'[^;]*;`).FindSubmatch(manual)
	require.NotNil(t, statement, "docs/application.md does not tell how the role is made")
	role := string(statement[1])
	r := newRoles(t)
	require.NoError(t, r.server.Execute(t.Context(),
		`CREATE FUNCTION pg_catalog.pgaadauth_create_principal_with_oid(name text, oid text, kind text, admin boolean, mfa boolean) RETURNS text
		 LANGUAGE plpgsql AS $$ BEGIN
			PERFORM oid::uuid;
			IF kind <> 'service' OR admin OR mfa THEN RAISE EXCEPTION 'no ordinary role of a service: % % %', kind, admin, mfa; END IF;
			EXECUTE format('CREATE ROLE %I LOGIN', name); RETURN 'Created role for ' || name;
		 END $$`,
		strings.ReplaceAll(string(statement[0]), "<object id>", "11111111-2222-3333-4444-555555555555")))
	r.owner.ServiceUser, r.owner.ServicePasswordFile = role, ""
	require.NoError(t, r.migrate(t.Context()))
	require.NoError(t, r.server.ExecuteIn(t.Context(), r.owner.Name, `SET ROLE `+role,
		`INSERT INTO substations VALUES ('nord', 'Nord', 'Coast')`, `SELECT FROM goose_db_version`))
	require.ErrorContains(t, r.server.ExecuteIn(t.Context(), r.owner.Name, `SET ROLE `+role, `DROP TABLE points`), "42501")
}
