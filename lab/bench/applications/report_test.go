package applications

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// growing returns sizes whose times are a start of two seconds and what grow adds.
func growing(grow func(n float64) float64) []size {
	var sizes []size
	for _, n := range []int{10, 100, 1000} {
		c := cost{Seconds: 2 + grow(float64(n))}
		sizes = append(sizes, size{
			Applications: n, Preview: c, Up: c, EnginePreview: cost{Seconds: 2 + 0.005*float64(n)}, EngineUp: c,
		})
	}
	return sizes
}

func TestUnit_LinearGrowthPassesAndQuadraticDoesNot(t *testing.T) {
	t.Parallel()
	linear := reportOf(growing(func(n float64) float64 { return 0.01 * n }))
	assert.InDelta(t, 1, linear.PreviewExponent, 0.01)
	assert.InDelta(t, 12.0/7, linear.PreviewRatio, 0.01)
	require.NoError(t, linear.verdict(1.25, 3))

	quadratic := reportOf(growing(func(n float64) float64 { return n * n / 30000 }))
	err := quadratic.verdict(1.25, 3)
	require.ErrorContains(t, err, "the time of the preview grows with the exponent")
	require.ErrorContains(t, err, "the time of the update grows with the exponent")
	require.ErrorContains(t, err, "the largest preview takes 5.05 times as long as the engine alone, more than 3.00")

	// What cannot be told from noise is no growth.
	require.NoError(t, reportOf(growing(func(float64) float64 { return 0 })).verdict(1.25, 3))
	var table bytes.Buffer
	require.NoError(t, printTable(&table, linear))
	assert.Regexp(t, `(?m)^ *1000 +preview +12\.0 s +7\.0 s +1\.71 `, table.String())
}
