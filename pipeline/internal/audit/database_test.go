package audit_test

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gridos/sharedinfra/pipeline/internal/audit"
)

// vulnerabilities serves a database with one entry for each module that is named, which says that
// all its versions are vulnerable, in one symbol of one package. Source of the shape:
// go.dev/doc/security/vuln/database, "API", and OSV 1.3.1.
func vulnerabilities(t *testing.T, symbols map[[2]string]string) string {
	t.Helper()
	const modified = "2026-11-01T00:00:00Z"
	files := map[string]any{"/index/db.json": map[string]string{"modified": modified}}
	modules, all := []any{}, []any{}
	for of, symbol := range symbols {
		module, path := of[0], of[1]
		id := "GO-2099-000" + string(rune('1'+len(modules)))
		modules = append(modules, map[string]any{"path": module, "vulns": []any{map[string]string{"id": id, "modified": modified}}})
		all = append(all, map[string]any{"id": id, "modified": modified})
		files["/ID/"+id+".json"] = map[string]any{
			"schema_version": "1.3.1", "id": id, "modified": modified, "published": modified, "summary": "made up by a test",
			"details": "made up by a test", "database_specific": map[string]string{"url": "https://vuln.example/" + id},
			"affected": []any{map[string]any{
				"package":            map[string]string{"name": module, "ecosystem": "Go"},
				"ranges":             []any{map[string]any{"type": "SEMVER", "events": []any{map[string]string{"introduced": "0"}}}},
				"ecosystem_specific": map[string]any{"imports": []any{map[string]any{"path": path, "symbols": []string{symbol}}}},
			}},
		}
	}
	files["/index/modules.json"], files["/index/vulns.json"] = modules, all
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name, packed := strings.CutSuffix(r.URL.Path, ".gz")
		content, there := files[name]
		if !there {
			http.NotFound(w, r)
			return
		}
		text, err := json.Marshal(content)
		assert.NoError(t, err)
		if packed {
			var zipped bytes.Buffer
			writer := gzip.NewWriter(&zipped)
			_, err = writer.Write(text)
			assert.NoError(t, err)
			assert.NoError(t, writer.Close())
			text = zipped.Bytes()
		}
		_, err = w.Write(text)
		assert.NoError(t, err)
	}))
	t.Cleanup(server.Close)
	return server.URL
}

// The real govulncheck looks at the service's module, which takes it ten seconds.
func TestEngine_AnEntryForAModuleTurnsTheAuditRed(t *testing.T) {
	t.Parallel()
	const module = "github.com/jackc/pgx/v5"
	for name, test := range map[string]struct {
		symbols map[[2]string]string
		red     bool
	}{
		"one for a symbol in use":     {map[[2]string]string{{module, module + "/pgxpool"}: "NewWithConfig"}, true},
		"one for a symbol not in use": {map[[2]string]string{{module, module + "/pgxpool"}: "NoSuchSymbol"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			modified, err := audit.Audit{
				Database: vulnerabilities(t, test.symbols), Modules: []string{"src"}, Check: audit.Govulncheck("../../..", &out),
			}.Run(t.Context())
			assert.Equal(t, time.Date(2026, time.November, 1, 0, 0, 0, 0, time.UTC), modified)
			if !test.red {
				require.NoError(t, err, out.String())
				return
			}
			require.ErrorContains(t, err, "the module in src: its code reaches known vulnerabilities", out.String())
			assert.Contains(t, out.String(), "GO-2099-0001")
			assert.Contains(t, out.String(), module)
		})
	}
}
