package stacks

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource/plugin"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

// PlannedVariable names the environment variable with the path of a file of Planned. A preview of
// one stack can then show what an update of all would do to it: it reads the outputs that the
// stacks before it are going to export, in place of their present ones. Updates do not read it.
const PlannedVariable = "GRIDOS_PLANNED_OUTPUTS"

// Planned is what stacks are going to export, by the names of their projects.
type Planned map[string]PlannedOutputs

// PlannedOutputs is what one stack is going to export.
type PlannedOutputs struct {
	// Known are the outputs whose values its preview knows, by key.
	Known map[string]any `json:"known"`
	// Unknown are the keys of the others that are not secret: they are known after the update of
	// the stack.
	Unknown []string `json:"unknown,omitempty"`
}

// planned returns what the stack of project is going to export, or nothing.
func planned(ctx *pulumi.Context, project Project) (PlannedOutputs, error) {
	file := os.Getenv(PlannedVariable)
	if file == "" || !ctx.DryRun() {
		return PlannedOutputs{}, nil
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return PlannedOutputs{}, fmt.Errorf("read what stacks are going to export (%s): %w", PlannedVariable, err)
	}
	var all Planned
	if err := json.Unmarshal(text, &all); err != nil {
		return PlannedOutputs{}, fmt.Errorf("%s (%s) is not what stacks are going to export: %w", file, PlannedVariable, err)
	}
	return all[project.Name], nil
}

// over replaces values, the present outputs, by those that are going to be exported. It returns the
// keys of declared whose values are unknown: an existing secret keeps its value, because no preview
// shows its new one.
func (p PlannedOutputs) over(values map[string]any, declared []Output) (unknown map[string]bool) {
	if p.Known == nil {
		return nil
	}
	for key, value := range p.Known {
		values[key] = value
	}
	unknown = map[string]bool{}
	for _, key := range p.Unknown {
		unknown[key] = true
	}
	for _, o := range declared {
		if o.Secret {
			_, there := values[o.Key]
			unknown[o.Key] = !there || values[o.Key] == nil
		}
	}
	return unknown
}

// Placeholders are the texts that stand for a value where it is not told: for a secret in what the
// CLI prints without --show-secrets, and for a text that is known only after an update.
func Placeholders() []string { return []string{"[secret]", plugin.UnknownStringValue} }

// isPlaceholder reports whether a value, or one in a list, stands for another.
func isPlaceholder(value any) bool {
	switch value := value.(type) {
	case string:
		return slices.Contains(Placeholders(), value)
	case []any:
		return slices.ContainsFunc(value, isPlaceholder)
	default:
		return false
	}
}
