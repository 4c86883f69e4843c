package figures

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestUnit_ARatioIsThatOfMedians(t *testing.T) {
	t.Parallel()
	r := Ratio("id", "what", "peer", 1.5, []Pair{{2, 1}, {3, 2}, {10, 4}})
	assert.InDelta(t, 1.5, r.Value, 1e-9)
	assert.InDelta(t, 1.5, r.Lowest, 1e-9)
	assert.InDelta(t, 2.5, r.Highest, 1e-9)
	assert.True(t, r.Met())
	assert.False(t, Single("id", "what", "limit", 5, Seconds, []float64{4, 6, 7}).Met())
	assert.True(t, Skip("id", "what", "peer", 1, "there is none").Met(), "what was not measured missed nothing")
	assert.InDelta(t, 2.5, Median([]float64{4, 1, 2, 3}), 1e-9)
}

func TestUnit_AReportReplacesItsTableAndKeepsOtherRows(t *testing.T) {
	t.Parallel()
	document := filepath.Join(t.TempDir(), "performance.md")
	require.NoError(t, os.WriteFile(document, []byte("before\n\n"+beginMark+"\nold\n"+endMark+"\n\nafter\n"), 0o600))
	empty, err := Read(document)
	require.NoError(t, err)
	first := empty.With([]Row{Single("a", "A", "limit", 5, Seconds, []float64{4}), Single("b", "B", "limit", 5, Seconds, []float64{6})})
	require.NoError(t, first.Write(document))

	read, err := Read(document)
	require.NoError(t, err)
	assert.Equal(t, first, read)
	require.NoError(t, read.With([]Row{Single("b", "B", "limit", 5, Seconds, []float64{3})}).Write(document))
	text, err := os.ReadFile(document)
	require.NoError(t, err)
	assert.Regexp(t, `(?s)^before\n.*\| A \| limit \| 4\.00 s \|.*\| B \| limit \| 3\.00 s \|.*\| met \|.*\nafter\n$`, string(text))
	assert.NotContains(t, string(text), "old")

	require.NoError(t, os.WriteFile(document, []byte("no marks"), 0o600))
	require.ErrorContains(t, read.Write(document), "there is no place for the table")
}

// Report.Write writes the document and the figures for machines together, but an editor could
// change only one of them.
func TestUnit_ThePublishedTableIsThatOfTheFigures(t *testing.T) {
	t.Parallel()
	document := filepath.Join("..", "..", "..", "docs", "performance.md")
	r, err := Read(document)
	require.NoError(t, err)
	require.NotEmpty(t, r.Rows)
	text, err := os.ReadFile(document)
	require.NoError(t, err)
	written, err := r.into(text)
	require.NoError(t, err)
	assert.Equal(t, string(written), string(text), "run make bench, or take the change back")
}
