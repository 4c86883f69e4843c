package settings_test

import (
	"bytes"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gridos/sharedinfra/src/internal/settings"
)

func load(variables map[string]string) (settings.Settings, error) {
	return settings.Load(func(name string) string { return variables[name] })
}

func TestUnit_DefaultsAreSafe(t *testing.T) {
	t.Parallel()
	s, err := load(map[string]string{"DATABASE_HOST": "db", "DATABASE_USER": "gridos", "DATABASE_PASSWORD": "p"})
	require.NoError(t, err)
	assert.Equal(t, settings.Settings{
		HTTPAddress: ":8080", LogLevel: slog.LevelInfo, ShutdownDelay: 5 * time.Second, Retention: 720 * time.Hour,
		ReadNetworks: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}, RateLimit: 50,
		Database: settings.Database{
			Host: "db", Port: 5432, Name: "gridos", User: "gridos", Auth: "password", Password: "p",
			SSLMode: "verify-full", PoolSize: 8,
		},
	}, s)
}

func TestUnit_AllMistakesAreReportedAtOnce(t *testing.T) {
	t.Parallel()
	_, err := load(map[string]string{
		"HTTP_ADDRESS": "8080", "LOG_LEVEL": "verbose", "SHUTDOWN_DELAY": "5", "DATABASE_PORT": "70000", "DATABASE_AUTH": "entra",
		"DATABASE_SSLMODE": "disable", "DATABASE_POOL_SIZE": "1", "TELEMETRY_RETENTION": "1h", "INGEST_TOKEN_FILE": "/nowhere/token",
		"READ_NETWORKS": "10.0.0.0/8, all", "PROXY_NETWORKS": "10.1.2.3/8", "RATE_LIMIT": "-1",
		"DATABASE_PREPARED_BY": "serve", "DATABASE_SERVICE_PASSWORD_FILE": "/nowhere/password",
	})
	require.Error(t, err)
	lines := strings.Split(err.Error(), "\n")
	for _, variable := range []string{
		"HTTP_ADDRESS", "LOG_LEVEL", "SHUTDOWN_DELAY", "DATABASE_PORT", "DATABASE_HOST", "DATABASE_USER", "DATABASE_SSLMODE",
		"DATABASE_POOL_SIZE", "TELEMETRY_RETENTION", "INGEST_TOKEN_FILE", "READ_NETWORKS", "PROXY_NETWORKS", "RATE_LIMIT",
		"DATABASE_PREPARED_BY", "DATABASE_SERVICE_USER", "DATABASE_SERVICE_PASSWORD_FILE",
	} {
		named := strings.Count(err.Error(), variable+" is ") + strings.Count(err.Error(), variable+" has ")
		assert.Equal(t, 1, named, "%s in:\n%v", variable, err)
	}
	assert.Len(t, lines, 16)
}

func TestUnit_OneOfTwoPasswordsIsChosen(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "password")
	require.NoError(t, os.WriteFile(file, []byte("p\n"), 0o600))
	base := map[string]string{"DATABASE_HOST": "db", "DATABASE_USER": "gridos"}
	for name, c := range map[string]struct {
		extra map[string]string
		wants string
	}{
		"none":         {nil, "DATABASE_PASSWORD_FILE is not set"},
		"both":         {map[string]string{"DATABASE_PASSWORD_FILE": file, "DATABASE_PASSWORD": "p"}, "are both set"},
		"missing file": {map[string]string{"DATABASE_PASSWORD_FILE": file + ".not"}, "no such file or directory"},
	} {
		variables := map[string]string{}
		for _, m := range []map[string]string{base, c.extra} {
			for k, v := range m {
				variables[k] = v
			}
		}
		_, err := load(variables)
		require.ErrorContains(t, err, c.wants, name)
		assert.NotContains(t, err.Error(), "\n", name)
	}
}

func TestUnit_APasswordIsNeverLogged(t *testing.T) {
	t.Parallel()
	s, err := load(map[string]string{"DATABASE_HOST": "db", "DATABASE_USER": "gridos", "DATABASE_PASSWORD": "hunter2"})
	require.NoError(t, err)
	var log bytes.Buffer
	slog.New(slog.NewJSONHandler(&log, nil)).Info("starting", "database", s.Database)
	assert.Contains(t, log.String(), `"address":"db:5432"`)
	assert.NotContains(t, log.String(), "hunter2")
}
