package azcli

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/jmespath/go-jmespath"

	"github.com/gridos/sharedinfra/lab/internal/azure"
	"github.com/gridos/sharedinfra/lab/internal/azure/arm"
)

// Client stands in for az. It carries out commands against a simulated Azure with the same requests
// as the engine, so the same rules judge them.
type Client struct {
	Cloud *azure.Cloud
}

// action carries a command out and returns what az prints.
type action func(ctx context.Context, c Client, command Command) (any, error)

// actions are the verbs that change an environment, and those with which a procedure reads it.
func actions() map[string]action {
	table := map[string]action{}
	maps.Copy(table, clusterActions())
	maps.Copy(table, otherActions())
	return table
}

// Carried returns the verbs that the stand-in can carry out, sorted.
func Carried() []string { return slices.Sorted(maps.Keys(actions())) }

// Run carries out the words after az, and writes the answer to out. The error is Azure's refusal,
// or names a verb or flag that no document uses, or says that the stand-in does not carry the verb
// out.
func (c Client) Run(ctx context.Context, words []string, out io.Writer) error {
	command, err := Parse(words)
	if err != nil {
		return err
	}
	do, ok := actions()[command.Verb]
	if !ok {
		return fmt.Errorf("az %s: the simulated Azure does not carry this verb out", command.Verb)
	}
	answer, err := do(ctx, c, command)
	if err != nil {
		return fmt.Errorf("az %s: %w", command.Verb, err)
	}
	if answer == nil {
		return nil
	}
	if answer, err = queried(answer, command.Value("--query")); err != nil {
		return fmt.Errorf("az %s: --query %s: %w", command.Verb, command.Value("--query"), err)
	}
	text, err := printed(answer, command.Value("--output"))
	if err != nil {
		return fmt.Errorf("az %s: %w", command.Verb, err)
	}
	_, err = io.WriteString(out, text)
	return err
}

// queried applies a JMESPath expression, as az does.
func queried(answer any, query string) (any, error) {
	plain, err := json.Marshal(answer)
	if err != nil {
		return nil, err
	}
	var value any
	if err := json.Unmarshal(plain, &value); err != nil || query == "" {
		return value, err
	}
	return jmespath.Search(query, value)
}

// printed writes an answer as az does with -o: JSON, or the values alone, one per line. A table is
// for people, and is JSON here.
func printed(answer any, output string) (string, error) {
	switch output {
	case "", "json", "table":
		text, err := json.MarshalIndent(answer, "", "  ")
		return string(text) + "\n", err
	case "tsv":
		list, ok := answer.([]any)
		if !ok {
			list = []any{answer}
		}
		var text strings.Builder
		for _, item := range list {
			if item != nil {
				fmt.Fprintln(&text, item)
			}
		}
		return text.String(), nil
	default:
		return "", fmt.Errorf("-o %s is in no document, so it is not known here", output)
	}
}

// id returns the id of a resource: path is the part after /providers/.
func (c Client) id(group string, path ...string) string {
	var subscription string
	c.Cloud.Look(func(v *arm.View) { subscription = v.Options().SubscriptionID })
	id := "/subscriptions/" + subscription + "/resourceGroups/" + group
	if len(path) > 0 {
		id += "/providers/" + strings.Join(path, "/")
	}
	return id
}

// show returns a live resource as az shows it: its properties, its name and its id.
func (c Client) show(id string) (map[string]any, error) {
	in, out, exists := c.Cloud.Live(id)
	if !exists {
		return nil, fmt.Errorf("(ResourceNotFound) The Resource '%s' was not found", id)
	}
	shown := map[string]any(in.Merge(out))
	shown["id"], shown["name"] = id, id[strings.LastIndex(id, "/")+1:]
	return shown, nil
}

// below returns the ids of the live resources of an ARM type below an id.
func (c Client) below(id, kind string) []string {
	var ids []string
	for _, r := range c.Cloud.Inventory() {
		if r.Type == kind && strings.HasPrefix(strings.ToLower(r.ID), strings.ToLower(id)+"/") {
			ids = append(ids, r.ID)
		}
	}
	return ids
}
