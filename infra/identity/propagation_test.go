package identity

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestUnit_WhoNeedsANewRoleWaitsForIt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		started := time.Now()
		at := started.Add(30 * time.Second)
		require.NoError(t, sleepUntil(t.Context(), &at))
		assert.Equal(t, 30*time.Second, time.Since(started))
		require.NoError(t, sleepUntil(t.Context(), &at), "long since")
		require.NoError(t, sleepUntil(t.Context(), nil), "the role is not new")
		assert.Equal(t, 30*time.Second, time.Since(started))

		ctx, cancel := context.WithCancel(t.Context())
		at = at.Add(time.Hour)
		time.AfterFunc(time.Second, cancel)
		require.ErrorIs(t, sleepUntil(ctx, &at), context.Canceled)
		assert.Equal(t, 31*time.Second, time.Since(started))
	})
}
