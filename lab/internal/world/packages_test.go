package world

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gridos/sharedinfra/lab/internal/host/progress"
	"github.com/gridos/sharedinfra/lab/internal/host/toolchain"
)

// aptOnPath makes a PATH with git, and with an apt-get that installs redis-server, or fails. It
// returns the PATH's folder and the log of apt-get's calls.
func aptOnPath(t *testing.T, works bool) (dir, log string) {
	t.Helper()
	dir, log = t.TempDir(), filepath.Join(t.TempDir(), "log")
	last := "echo 'E: Unable to locate package' >&2; exit 100"
	if works {
		last = "printf '#!/bin/sh\\n' >" + dir + "/redis-server; /bin/chmod +x " + dir + "/redis-server"
	}
	for name, script := range map[string]string{
		"git":     "",
		"initdb":  "", // of PostgreSQL
		"apt-get": "echo \"$DEBIAN_FRONTEND $*\" >>" + log + "\n[ $1 = update ] && exit\n" + last + "\n",
		// On a machine that systemd runs, the services of the packages do not start.
		"systemctl": "",
	} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\n"+script), 0o700))
	}
	t.Setenv("PATH", dir)
	return dir, log
}

func TestUnit_RootGetsThePackagesOfTheDistribution(t *testing.T) {
	dir, log := aptOnPath(t, true)
	var out bytes.Buffer
	for range 2 {
		found, err := findPrograms(t.Context(), progress.New(&out), true, programs())
		require.NoError(t, err)
		assert.Equal(t, map[string]string{
			"git": filepath.Join(dir, "git"), "redis-server": filepath.Join(dir, "redis-server"), "postgresql": dir,
		}, found)
	}
	calls, err := os.ReadFile(log)
	require.NoError(t, err)
	assert.Equal(t, "noninteractive update --quiet\n"+
		"noninteractive install --yes --no-install-recommends redis-server\n", string(calls), "once")
	assert.Contains(t, out.String(), "installing redis-server: done")
}

func TestUnit_MissingPackagesAreAnnounced(t *testing.T) {
	dir, log := aptOnPath(t, true)
	var out bytes.Buffer
	require.NoError(t, announcePrograms(progress.New(&out), true))
	assert.Contains(t, out.String(), "Once, the lab installs packages of the distribution: redis-server.\n")
	out.Reset()
	require.NoError(t, announcePrograms(progress.New(&out), false))
	assert.Contains(t, out.String(), "Argo CD will not run: not on PATH: redis-server; sudo apt-get update && ")
	assert.NoFileExists(t, log)
	out.Reset()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "redis-server"), []byte("#!/bin/sh\n"), 0o700))
	require.NoError(t, announcePrograms(progress.New(&out), true))
	assert.Empty(t, out.String())
}

func TestUnit_TheTestsTakeAnyBrowser(t *testing.T) {
	dir, log := aptOnPath(t, true)
	for _, program := range []string{"redis-server", "google-chrome"} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, program), []byte("#!/bin/sh\n"), 0o700))
	}
	require.NoError(t, ProgramsForTests(t.Context(), progress.New(&bytes.Buffer{})))
	assert.NoFileExists(t, log)
	require.NoError(t, os.Remove(filepath.Join(dir, "google-chrome")))
	t.Setenv(toolchain.EnvOffline, "1")
	require.EqualError(t, ProgramsForTests(t.Context(), progress.New(&bytes.Buffer{})), "not on PATH: chromium; "+
		"sudo apt-get update && sudo apt-get install --yes --no-install-recommends chromium installs what is missing")
}

func TestUnit_OthersAreToldTheCommandThatInstallsThem(t *testing.T) {
	dir, log := aptOnPath(t, true)
	display := progress.New(&bytes.Buffer{})
	_, err := findPrograms(t.Context(), display, false, programs())
	require.EqualError(t, err, "not on PATH: redis-server; "+
		"sudo apt-get update && sudo apt-get install --yes --no-install-recommends redis-server installs what is missing")
	assert.NoFileExists(t, log)
	t.Setenv(toolchain.EnvOffline, "1")
	_, err = findPrograms(t.Context(), display, true, programs())
	require.ErrorContains(t, err, "sudo apt-get update && ", "root asks no network either")
	assert.NoFileExists(t, log)

	require.NoError(t, os.Remove(filepath.Join(dir, "apt-get")))
	_, err = findPrograms(t.Context(), display, true, programs())
	require.EqualError(t, err, "not on PATH: redis-server; install what is missing")
}

func TestUnit_AFailedInstallationSaysWhatAptGetSaid(t *testing.T) {
	aptOnPath(t, false)
	_, err := findPrograms(t.Context(), progress.New(&bytes.Buffer{}), true, programs())
	require.EqualError(t, err, "apt-get install --yes --no-install-recommends redis-server: exit status 100: "+
		"E: Unable to locate package")
}
