package telemetry_test

import (
	"encoding/json"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gridos/sharedinfra/src/internal/telemetry"
)

// id matches the ids that may stand in a path and in a row.
var id = regexp.MustCompile(`^[a-z0-9-]{1,40}$`)

// FuzzSubstation: an accepted definition has names that can be shown and limits that an alarm can
// use, and is the same when it is written again; a refusal has a message of bounded length.
func FuzzSubstation(f *testing.F) {
	for _, text := range []string{
		`{"id":"north-7","name":"North 7","region":"Nord","points":[{"key":"t1-load","name":"Load","kind":"current","low":1,"high":9,"hysteresis":2},` +
			`{"key":"b1","name":"Breaker","kind":"breaker","normal":1}]}`,
		`{}`, `{"id":"A","name":"\u0000","points":[{}]}`, `{"id":"a","name":"\ud800","points":null}`,
		`{"id":"a","name":"a","points":[{"key":"a","name":"a","kind":"voltage","low":1e308,"high":-1e308,"hysteresis":1e308}]}`,
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		var s telemetry.Substation
		if json.Unmarshal(text, &s) != nil {
			return
		}
		if err := s.Check(); err != nil {
			var mistakes *telemetry.Mistakes
			require.ErrorAs(t, err, &mistakes)
			assert.LessOrEqual(t, len(mistakes.List), 10)
			assert.Less(t, len(err.Error()), 20_000)
			assert.True(t, utf8.ValidString(err.Error()), "%q", err)
			return
		}
		assert.Regexp(t, id, s.ID)
		assert.True(t, 0 < len(s.Points) && len(s.Points) <= telemetry.MaxPoints)
		keys := map[string]bool{}
		for _, p := range s.Points {
			assert.Regexp(t, id, p.Key)
			assert.False(t, keys[p.Key], p.Key)
			keys[p.Key] = true
			assert.True(t, utf8.ValidString(p.Name) && strings.TrimSpace(p.Name) != "" && !strings.ContainsRune(p.Name, 0), "%q", p.Name)
			if p.Low != nil && p.High != nil {
				assert.Greater(t, *p.High-p.Hysteresis, *p.Low+p.Hysteresis, "no value would end both alarms: %+v", p)
			}
		}
		written, err := json.Marshal(s)
		require.NoError(t, err)
		var again telemetry.Substation
		require.NoError(t, json.Unmarshal(written, &again))
		require.NoError(t, again.Check())
		assert.Equal(t, s, again)
	})
}

// FuzzSamples: an accepted batch has points that can exist, and times that are kept.
func FuzzSamples(f *testing.F) {
	const retention = 24 * time.Hour
	for _, text := range []string{
		`[{"substation":"north-7","point":"t1-load","at":"2026-03-01T11:59:59.123456789Z","value":42.5}]`,
		`[]`, `null`, `[{}]`, `[{"substation":"a","point":"b","at":"2026-03-01T13:04:00+01:00","value":-0}]`,
		`[{"substation":"a","point":"b","at":"9999-12-31T23:59:59Z","value":1e308},{"substation":"-","point":"_","at":"0001-01-01T00:00:00Z"}]`,
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		var samples []telemetry.Sample
		if json.Unmarshal(text, &samples) != nil {
			return
		}
		if err := telemetry.CheckSamples(samples, now, retention); err != nil {
			assert.Less(t, len(err.Error()), 20_000)
			assert.True(t, utf8.ValidString(err.Error()), "%q", err)
			return
		}
		assert.True(t, 0 < len(samples) && len(samples) <= telemetry.MaxSamples)
		for _, s := range samples {
			assert.Regexp(t, id, s.Substation)
			assert.Regexp(t, id, s.Point)
			age := now.Sub(s.At)
			assert.True(t, -telemetry.MaxAhead <= age && age <= retention, age)
		}
	})
}
