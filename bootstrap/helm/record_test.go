package helm

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestUnit_OnlyWhatAKilledUpdateLeftIsStale(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		status, description string
		install, upgrade    bool
	}{
		{"pending-install", "Initial install underway", true, true},
		{"pending-upgrade", "Preparing upgrade", true, true},
		{"pending-rollback", "Rollback to 1", true, true},
		{"uninstalling", "Deletion in progress (or silently failed)", true, false},
		{"failed", "Release failed", true, false},
		{"deployed", installedBy, true, false},
		{"superseded", installedBy, true, false},
		{"deployed", "Install complete", false, false}, // past Pulumi
		{"deployed", "Rollback to 1", false, false},    // whose, nothing tells
	} {
		list := []record{{status: c.status, description: c.description}}
		assert.Equal(t, c.install, len(staleForInstall(list)) == 1, "install: %s, %s", c.status, c.description)
		assert.Equal(t, c.upgrade, len(staleForUpgrade(list)) == 1, "upgrade: %s, %s", c.status, c.description)
	}
}

// The histories are those that Helm writes with atomic set.
func TestUnit_AReleaseThatWasRolledBackIsStillThePlatforms(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		history []record
		stale   []string
	}{
		"an update failed and was rolled back": {[]record{
			{"v1", "", "superseded", "1", installedBy},
			{"v2", "", "failed", "2", `Upgrade "argocd" failed: timed out waiting for the condition`},
			{"v3", "", "deployed", "3", "Rollback to 1"},
		}, []string{"v1", "v2", "v3"}},
		"two updates failed": {[]record{
			{"v1", "", "superseded", "1", installedBy},
			{"v2", "", "failed", "2", "Upgrade failed"},
			{"v3", "", "superseded", "3", "Rollback to 1"},
			{"v4", "", "failed", "4", "Upgrade failed"},
			{"v5", "", "deployed", "5", "Rollback to 3"},
		}, []string{"v1", "v2", "v3", "v4", "v5"}},
		"a release from past Pulumi was rolled back": {[]record{
			{"v1", "", "superseded", "1", "Install complete"},
			{"v2", "", "failed", "2", "Upgrade failed"},
			{"v3", "", "deployed", "3", "Rollback to 1"},
		}, []string{"v2"}},
	} {
		var stale []string
		for _, r := range staleForInstall(test.history) {
			stale = append(stale, r.secret)
		}
		assert.Equal(t, test.stale, stale, name)
		assert.Empty(t, staleForUpgrade(test.history), name)
	}
}

func TestUnit_ADescriptionIsReadFromTheRecord(t *testing.T) {
	t.Parallel()
	var zipped bytes.Buffer
	writer := gzip.NewWriter(&zipped)
	_, err := writer.Write([]byte(`{"name":"argocd","info":{"status":"deployed","description":"` + installedBy + `"}}`))
	require.NoError(t, err)
	require.NoError(t, writer.Close())
	once := base64.StdEncoding.EncodeToString(zipped.Bytes())
	twice := base64.StdEncoding.EncodeToString([]byte(once))

	description, err := descriptionIn(map[string]any{"data": map[string]any{"release": twice}})
	require.NoError(t, err)
	assert.Equal(t, installedBy, description)
	for name, broken := range map[string]string{"none": "", "once": once, "no base64": "%"} {
		_, err := descriptionIn(map[string]any{"data": map[string]any{"release": broken}})
		require.ErrorContains(t, err, "is no record of Helm 3", name)
	}
}
