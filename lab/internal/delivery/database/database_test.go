package database

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gridos/sharedinfra/lab/internal/host/process"
)

func TestCluster_TheServerIsAsAzureMakesIt(t *testing.T) {
	t.Parallel()
	programs, err := Programs()
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("CI has to run this test: %v", err)
		}
		t.Skip("skipped: " + err.Error())
	}
	ports, err := process.FreePorts(1)
	require.NoError(t, err)
	options := Options{
		Dir: filepath.Join(t.TempDir(), "postgresql"), Programs: programs, Host: "dev-gridos-pg.example", Port: ports[0],
		Administrator: "gridosadmin", Databases: []string{"gridos"},
	}
	server, err := Start(t.Context(), options)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, server.Stop()) })
	require.NoError(t, server.SetPassword(t.Context(), "it's first"))

	roots, err := server.Roots()
	require.NoError(t, err)
	trusted := filepath.Join(t.TempDir(), "roots.pem")
	require.NoError(t, os.WriteFile(trusted, roots, 0o600))
	ask := func(password, mode, statement string) (string, error) {
		psql := exec.CommandContext(t.Context(), filepath.Join(programs, "psql"), "--no-psqlrc", "-At", "-c", statement, fmt.Sprintf(
			"host=%s hostaddr=127.0.0.1 port=%d user=gridosadmin dbname=gridos sslmode=%s sslrootcert=%s",
			options.Host, options.Port, mode, trusted))
		psql.Env = []string{"PGPASSWORD=" + password, "HOME=" + t.TempDir()}
		said, err := psql.CombinedOutput()
		return strings.TrimSpace(string(said)), err
	}
	const rights = `SELECT rolsuper, rolcreaterole, rolcreatedb, pg_has_role('azure_pg_admin', 'USAGE')
		FROM pg_roles WHERE rolname = current_user`
	said, err := ask("it's first", "verify-full", rights)
	require.NoError(t, err, said)
	assert.Equal(t, "f|t|t|t", said)
	said, err = ask("it's first", "verify-full", "CREATE TABLE kept (n int)")
	require.NoError(t, err, said)
	said, err = ask("it's first", "disable", rights)
	require.Error(t, err, "without TLS it answers %s", said)
	assert.Contains(t, said, "no encryption")
	said, err = ask("wrong", "verify-full", rights)
	require.Error(t, err, said)

	require.NoError(t, server.Stop())
	server, err = Start(t.Context(), options)
	require.NoError(t, err, "it comes up with the data that it has")
	require.NoError(t, server.SetPassword(context.WithoutCancel(t.Context()), "second"))
	said, err = ask("second", "verify-full", "SELECT count(*) FROM kept")
	require.NoError(t, err, said)
	assert.Equal(t, "0", said)
	_, err = ask("it's first", "verify-full", rights)
	require.Error(t, err, "the password before is of no use")
}
