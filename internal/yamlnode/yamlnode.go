// Package yamlnode reads and changes YAML documents as nodes, which keep their comments and their
// order.
package yamlnode

import (
	"bytes"
	"errors"
	"iter"
	"slices"

	"go.yaml.in/yaml/v3"
)

// Pairs returns the keys and values of a mapping; nil has none.
func Pairs(mapping *yaml.Node) iter.Seq2[string, *yaml.Node] {
	return func(yield func(string, *yaml.Node) bool) {
		for i := 0; mapping != nil && i+1 < len(mapping.Content); i += 2 {
			if !yield(mapping.Content[i].Value, mapping.Content[i+1]) {
				return
			}
		}
	}
}

// Field returns the value of a key of a mapping, or nil.
func Field(mapping *yaml.Node, key string) *yaml.Node {
	for name, value := range Pairs(mapping) {
		if name == key {
			return value
		}
	}
	return nil
}

// Add appends a key and its value to a mapping.
func Add(mapping *yaml.Node, key string, value *yaml.Node) {
	mapping.Content = append(mapping.Content, Text(key), value)
}

// Remove removes a key and its value from a mapping that may have it.
func Remove(mapping *yaml.Node, key string) {
	for i := 0; i+1 < len(mapping.Content); i += 2 {
		if mapping.Content[i].Value == key {
			mapping.Content = slices.Delete(mapping.Content, i, i+2)
			return
		}
	}
}

// Text returns a scalar.
func Text(value string) *yaml.Node { return &yaml.Node{Kind: yaml.ScalarNode, Value: value} }

// Mapping returns a mapping of keys and their values, in turns.
func Mapping(pairs ...string) *yaml.Node {
	node := &yaml.Node{Kind: yaml.MappingNode}
	for _, text := range pairs {
		node.Content = append(node.Content, Text(text))
	}
	return node
}

// Marshal returns the text of a document, indented by two.
func Marshal(document *yaml.Node) ([]byte, error) {
	var text bytes.Buffer
	encoder := yaml.NewEncoder(&text)
	encoder.SetIndent(2)
	err := errors.Join(encoder.Encode(document), encoder.Close())
	return text.Bytes(), err
}
