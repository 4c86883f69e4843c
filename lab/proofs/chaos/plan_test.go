package chaos

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestUnit_ARoundFollowsFromItsSeed(t *testing.T) {
	verbs, victims, again := map[Verb]int{}, map[Victim]int{}, 0
	for round := 1; round <= 100; round++ {
		plan := Draw(7, round)
		assert.Equal(t, plan, Draw(7, round))
		assert.GreaterOrEqual(t, plan.Moment, 0.0)
		assert.Less(t, plan.Moment, 1.0)
		assert.Equal(t, plan.Verb == Down || plan.FromNothing, !plan.Changes, "an update has something to do: %s", plan)
		assert.Less(t, plan.Again, 1.0)
		if plan.Again > 0 {
			again++
		}
		verbs[plan.Verb]++
		victims[plan.Victim]++
	}
	assert.Greater(t, again, 10)
	for _, verb := range Verbs() {
		assert.GreaterOrEqual(t, verbs[verb], 5, verb)
	}
	for _, victim := range Victims() {
		assert.GreaterOrEqual(t, victims[victim], 2, victim)
	}
	assert.NotEqual(t, Draw(7, 1), Draw(8, 1))
	assert.NotEqual(t, Draw(7, 1).Moment, Draw(7, 2).Moment)
}
