package contract

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/gridos/sharedinfra/internal/spelling"
	"github.com/gridos/sharedinfra/stacks"
)

// Consumer is a program of another team that reads the published outputs.
type Consumer struct {
	// Repository is the address of the program's repository, and Project names the program in it.
	Repository, Project string
	// Language is one of Languages.
	Language string
	// Contact is whom to ask before an output changes: a team, or an address.
	Contact string
	// Versions are the versions of the contract that the program can read.
	Versions []int
	// Outputs are those that the program reads.
	Outputs []string
}

// Languages are those that a consumer can be written in.
func Languages() []string {
	return []string{"csharp", "go", "java", "python", "shell", "typescript", "yaml"}
}

// String names the consumer for people.
func (c Consumer) String() string {
	return fmt.Sprintf("%s (%s, %s)", c.Project, c.Repository, c.Contact)
}

// same reports whether two entries are of one program.
func (c Consumer) same(other Consumer) bool {
	return c.Repository == other.Repository && c.Project == other.Project
}

// union returns the consumers of both lists, sorted. One that is in both has what the first says,
// and reads the outputs of either.
func union(first, second []Consumer) []Consumer {
	all := slices.Clone(first)
	for _, c := range second {
		at := slices.IndexFunc(all, c.same)
		if at < 0 {
			all = append(all, c)
			continue
		}
		all[at].Outputs = slices.Concat(all[at].Outputs, c.Outputs)
	}
	slices.SortFunc(all, func(a, b Consumer) int { return strings.Compare(a.String(), b.String()) })
	return all
}

// readers are the consumers of an output: other teams read those of one project only.
func readers(consumers []Consumer, project, output string) []Consumer {
	if project != stacks.Published.Name {
		return nil
	}
	return slices.DeleteFunc(slices.Clone(consumers), func(c Consumer) bool { return !slices.Contains(c.Outputs, output) })
}

// Consumers returns the consumers in the text of a registry. The error names everything that is
// wrong with it, such as an output that the contract does not have.
func Consumers(text []byte, c Contract) ([]Consumer, error) {
	r := registry{}
	consumers := r.read(text)
	for i, consumer := range consumers {
		for j, output := range consumer.Outputs {
			if !slices.Contains(c.Keys(), output) {
				r.mistake(r.lines[i].outputs[j], "there is no output %q%s", output, meant(output, c.Keys()))
			}
		}
		for _, version := range consumer.Versions {
			if version > c.Version+1 {
				r.mistake(r.lines[i].versions, "version %d of the contract is far off: it has version %d now", version, c.Version)
			}
		}
		if len(consumer.Versions) > 0 && !slices.Contains(consumer.Versions, c.Version) {
			r.mistake(r.lines[i].versions, "the program does not read version %d, the one that is published", c.Version)
		}
	}
	return consumers, r.err()
}

// parse is Consumers without a contract.
func parse(text []byte) ([]Consumer, error) {
	r := registry{}
	return r.read(text), r.err()
}

// registry reads the file of consumers, and collects what is wrong with it.
type registry struct {
	found []mistake
	lines []lines // of each consumer
}

// lines are where an entry says something.
type lines struct {
	versions int
	outputs  []int
}

type mistake struct {
	line int
	text string
}

func (r *registry) mistake(line int, format string, args ...any) {
	r.found = append(r.found, mistake{line, fmt.Sprintf(format, args...)})
}

// err joins the mistakes in the order of the lines.
func (r *registry) err() error {
	slices.SortStableFunc(r.found, func(a, b mistake) int { return a.line - b.line })
	var all []error
	for _, m := range r.found {
		all = append(all, fmt.Errorf("%s:%d: %s", ConsumersFile, m.line, m.text))
	}
	return errors.Join(all...)
}

func (r *registry) read(text []byte) []Consumer {
	var document yaml.Node
	if err := yaml.Unmarshal(text, &document); err != nil {
		r.mistake(1, "is no YAML: %v", err)
		return nil
	}
	if len(document.Content) == 0 {
		r.mistake(1, "has no list consumers; without a consumer it is consumers: []")
		return nil
	}
	top := r.mapping(document.Content[0], "the file", "consumers")
	entries := top["consumers"]
	if entries == nil || entries.Kind != yaml.SequenceNode {
		if top != nil {
			r.mistake(document.Content[0].Line, "consumers is no list; without a consumer it is []")
		}
		return nil
	}
	var consumers []Consumer
	for _, entry := range entries.Content {
		consumer, at, ok := r.entry(entry)
		if !ok {
			continue
		}
		if consumer.Project != "" && slices.ContainsFunc(consumers, consumer.same) {
			r.mistake(entry.Line, "%s of %s is there twice; make one entry of both", consumer.Project, consumer.Repository)
		}
		consumers, r.lines = append(consumers, consumer), append(r.lines, at)
	}
	return consumers
}

func (r *registry) entry(node *yaml.Node) (Consumer, lines, bool) {
	at := lines{versions: node.Line}
	values := r.mapping(node, "a consumer", "repository", "project", "language", "contact", "versions", "outputs")
	if values == nil {
		return Consumer{}, at, false
	}
	text := func(key string) string {
		value := values[key]
		if value == nil || value.Kind != yaml.ScalarNode || strings.TrimSpace(value.Value) == "" || value.Tag == "!!null" {
			r.mistake(node.Line, "a consumer needs a %s", key)
			return ""
		}
		return value.Value
	}
	c := Consumer{Repository: text("repository"), Project: text("project"), Language: text("language"), Contact: text("contact")}
	if c.Repository != "" && !strings.HasPrefix(c.Repository, "https://") {
		r.mistake(values["repository"].Line, "%q is no address; write the repository's, such as https://github.com/owner/name",
			c.Repository)
	}
	if c.Language != "" && !slices.Contains(Languages(), c.Language) {
		r.mistake(values["language"].Line, "there is no language %q%s; it is one of %s",
			c.Language, meant(c.Language, Languages()), strings.Join(Languages(), ", "))
	}
	for _, item := range r.items(node, values, "versions") {
		var version int
		if item.Decode(&version) != nil || version < 1 {
			r.mistake(item.Line, "%q is no version of the contract, such as 1", item.Value)
			continue
		}
		if slices.Contains(c.Versions, version) {
			r.mistake(item.Line, "version %d is there twice", version)
		}
		c.Versions, at.versions = append(c.Versions, version), item.Line
	}
	for _, item := range r.items(node, values, "outputs") {
		if item.Kind != yaml.ScalarNode || item.Tag != "!!str" {
			r.mistake(item.Line, "an output is a name, such as databaseHost")
			continue
		}
		if slices.Contains(c.Outputs, item.Value) {
			r.mistake(item.Line, "output %q is there twice", item.Value)
		}
		c.Outputs, at.outputs = append(c.Outputs, item.Value), append(at.outputs, item.Line)
	}
	return c, at, true
}

// items are the values of the list under key, of which there has to be one at least.
func (r *registry) items(entry *yaml.Node, values map[string]*yaml.Node, key string) []*yaml.Node {
	value := values[key]
	if value == nil || value.Kind != yaml.SequenceNode || len(value.Content) == 0 {
		r.mistake(entry.Line, "a consumer needs a list %s with one entry at least", key)
		return nil
	}
	return value.Content
}

// mapping returns the values of a mapping by their keys, of which it may have the known ones only.
func (r *registry) mapping(node *yaml.Node, what string, known ...string) map[string]*yaml.Node {
	if node.Kind != yaml.MappingNode {
		r.mistake(node.Line, "%s has keys: %s", what, strings.Join(known, ", "))
		return nil
	}
	values := map[string]*yaml.Node{}
	for i := 0; i+1 < len(node.Content); i += 2 {
		key, value := node.Content[i], node.Content[i+1]
		switch {
		case !slices.Contains(known, key.Value):
			r.mistake(key.Line, "there is no key %q%s", key.Value, meant(key.Value, known))
		case values[key.Value] != nil:
			r.mistake(key.Line, "key %q is there twice", key.Value)
		default:
			values[key.Value] = value
		}
	}
	return values
}

// meant asks whether another name was meant, or says to remove this one.
func meant(name string, known []string) string {
	if near := spelling.Nearest(name, slices.Sorted(slices.Values(known))); near != "" {
		return fmt.Sprintf("; did you mean %s?", near)
	}
	return "; remove it"
}
