package command

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gridos/sharedinfra/lab/internal/host/site"
)

func TestUnit_UpEndsWithWhatToDoNext(t *testing.T) {
	var out bytes.Buffer
	record := site.Record{Page: "http://127.0.0.1:4/"}
	require.NoError(t, welcome(&out, site.Site{Environment: "dev"}, record, 72*time.Second+300*time.Millisecond, nil))
	assert.Equal(t, `
dev is up, after 1m12s. Watch it at http://127.0.0.1:4/. Next:

  eval "$(bin/lab env)"          # lets kubectl, pulumi and argocd talk to it
  bin/lab status                 # what runs, and what exists
  bin/lab outputs                # what the stacks hand on
`, out.String())

	out.Reset()
	state := &gitOpsState{GitURL: "http://127.0.0.1:1/gridos.git", Branch: "main", Registry: "127.0.0.1:2", ArgoCD: "127.0.0.1:3"}
	require.NoError(t, welcome(&out, site.Site{Environment: "test"}, record, time.Minute, state))
	for _, want := range []string{
		"http://127.0.0.1:1/gridos.git", "127.0.0.1:2", "127.0.0.1:3", "bin/lab commit -s test ", "bin/lab outputs -s test ",
	} {
		assert.Contains(t, out.String(), want)
	}
	assert.Less(t, strings.Count(out.String(), "\n"), 15, "it fits on a screen")
}
