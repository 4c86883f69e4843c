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
		{"deployed", "Install complete", false, false}, // somebody else's
	} {
		r := record{status: c.status, description: c.description}
		assert.Equal(t, c.install, staleForInstall(r), "install: %s, %s", c.status, c.description)
		assert.Equal(t, c.upgrade, staleForUpgrade(r), "upgrade: %s, %s", c.status, c.description)
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
