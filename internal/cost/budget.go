package cost

import (
	"bytes"
	_ "embed" // the budgets
	"fmt"
	"sync"
	"time"

	"go.yaml.in/yaml/v3"
)

// MaxAge is how old a price may be before reports say so.
const MaxAge = 180 * 24 * time.Hour

// Old reports whether the price is older than MaxAge on a day.
func (l Line) Old(on time.Time) bool {
	day, err := time.Parse(time.DateOnly, l.AsOf)
	return err != nil || on.Sub(day) > MaxAge
}

// Budget is what an environment may cost a month before the changes that make it dearer are risky.
// A number that is 0 is no budget.
type Budget struct {
	// Month is for all that is there, at the most.
	Month float64 `yaml:"month"`
	// More is for what one change adds, at the most.
	More float64 `yaml:"more"`
}

//go:embed budgets.yaml
var budgets []byte

// Budgets returns the budgets of the repository, by environment.
var Budgets = sync.OnceValues(func() (map[string]Budget, error) { return ParseBudgets(budgets) })

// ParseBudgets returns the budgets that are written in a text.
func ParseBudgets(text []byte) (map[string]Budget, error) {
	var all map[string]Budget
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	decoder.KnownFields(true)
	if err := decoder.Decode(&all); err != nil {
		return nil, fmt.Errorf("the budgets cannot be read: %w", err)
	}
	for environment, b := range all {
		if b.Month < 0 || b.More < 0 {
			return nil, fmt.Errorf("the budget of %s is below 0; write 0 where there is none", environment)
		}
	}
	return all, nil
}
