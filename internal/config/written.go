package config

import (
	"encoding/json"
	"fmt"
	"math/big"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// miswrittenKey carries, under the project's namespace, a JSON object of the keys whose values do
// not arrive as the stack's file has them, with what is wrong. See Compare.
const miswrittenKey = "__miswritten"

// everyKey stands in that object for the whole configuration.
const everyKey = "*"

// maxInteger is the largest integer up to which a resource's inputs have each one: their numbers
// are IEEE 754 doubles (resource.PropertyValue of Pulumi).
const maxInteger = 1 << 53

// ciphertext is what Pulumi's secrets managers write: v1:nonce:text with a passphrase, base64 alone
// with a key of a cloud. The nonce and the tag alone have 28 bytes (AES-GCM;
// sdk/go/common/resource/config/crypt.go of Pulumi 3.246).
var ciphertext = regexp.MustCompile(`^(v\d+:[A-Za-z0-9+/=]+:[A-Za-z0-9+/=]+|[A-Za-z0-9+/]{38,}={0,2})$`)

// Compare adds to the values of a project, by key with namespace, a list of those that do not
// arrive as the stack's file has them: a Reader of the values refuses them.
func Compare(project string, file []byte, values map[string]string) {
	if wrong := miswritten(project, file, values); len(wrong) > 0 {
		refuse(project, wrong, values)
	}
}

// refuse makes a Reader of the values refuse them, with the mistake of each key.
func refuse(project string, wrong, values map[string]string) {
	if text, err := json.Marshal(wrong); err == nil { // a map of strings always marshals
		values[project+":"+miswrittenKey] = string(text)
	}
}

// miswritten compares the values of a project's keys with those that arrived, by key with
// namespace, and returns the mistakes of those that differ, by key without it. YAML makes 34 of
// 0042, 1.3 of 1.30, and 1.234e+59 of the commit 1234e56 (https://yaml.org/spec/1.2.2, "Core
// Schema"; pulumi/pulumi#11518), and the program gets only the result.
func miswritten(project string, file []byte, arrived map[string]string) map[string]string {
	var document struct {
		Config yaml.Node `yaml:"config"`
	}
	if yaml.Unmarshal(file, &document) != nil || document.Config.Kind != yaml.MappingNode {
		return nil // the engine refuses a file that is no stack file
	}
	wrong, given := map[string]string{}, map[string]string{}
	for i := 0; i+1 < len(document.Config.Content); i += 2 {
		written := document.Config.Content[i].Value
		key := strings.TrimPrefix(written, project+":")
		if strings.Contains(key, ":") {
			continue // it belongs to a provider or to the engine
		}
		if other, twice := given[key]; twice {
			wrong[key] = fmt.Sprintf("stands in the file as %s and as %s, and either may win; remove %s", other, written, key)
			continue
		}
		given[key] = written
		if reason := compare(resolved(document.Config.Content[i+1]), arrived[project+":"+key]); reason != "" {
			wrong[key] = reason
		}
	}
	return wrong
}

// compare returns why the value of a key does not arrive as it is written, or "".
func compare(written *yaml.Node, arrived string) string {
	if written.Kind == yaml.ScalarNode {
		return compareText(written, arrived)
	}
	if cipher, ok := encrypted(written); ok {
		return checkCipher(cipher)
	}
	var value any
	decoder := json.NewDecoder(strings.NewReader(arrived))
	decoder.UseNumber()
	if decoder.Decode(&value) != nil {
		return "" // it is no object or list any more: the reader of the key reports that
	}
	return compareInside("", written, value)
}

// compareInside compares a part of an object or list; at is where it is.
func compareInside(at string, written *yaml.Node, arrived any) string {
	written = resolved(written)
	switch written.Kind {
	case yaml.MappingNode:
		if cipher, ok := encrypted(written); ok {
			return prefixed(at, checkCipher(cipher))
		}
		object, _ := arrived.(map[string]any)
		for i := 0; i+1 < len(written.Content); i += 2 {
			key := written.Content[i]
			if key.Tag == "!!merge" {
				continue
			}
			value, ok := object[key.Value]
			if !ok {
				return prefixed(at, fmt.Sprintf("the key %s does not arrive as written; write it in quotes: %q", key.Value, key.Value))
			}
			if reason := compareInside(strings.TrimPrefix(at+"."+key.Value, "."), written.Content[i+1], value); reason != "" {
				return reason
			}
		}
	case yaml.SequenceNode:
		list, _ := arrived.([]any)
		for i, element := range written.Content {
			if i >= len(list) {
				break
			}
			if reason := compareInside(at+"["+strconv.Itoa(i)+"]", element, list[i]); reason != "" {
				return reason
			}
		}
	case yaml.ScalarNode:
		return prefixed(at, compareScalar(written, arrived))
	}
	return ""
}

func compareScalar(written *yaml.Node, arrived any) string {
	switch value := arrived.(type) {
	case nil:
		return "null is lost on the way; remove the key, or write the value that it shall have"
	case string:
		return compareText(written, value)
	case bool:
		return compareText(written, strconv.FormatBool(value))
	case json.Number:
		if n, ok := new(big.Int).SetString(value.String(), 10); ok && n.CmpAbs(big.NewInt(maxInteger)) > 0 {
			return fmt.Sprintf("%s is larger than a number can be and stay exact (%d); write it in quotes: %q",
				written.Value, maxInteger, written.Value)
		}
		return compareText(written, value.String())
	default:
		return ""
	}
}

// compareText returns why a scalar does not arrive as it is written, or "". A quoted text does, and
// so does a block of text.
func compareText(written *yaml.Node, arrived string) string {
	quoted := written.Style&(yaml.DoubleQuotedStyle|yaml.SingleQuotedStyle|yaml.LiteralStyle|yaml.FoldedStyle) != 0
	switch {
	case quoted || written.Value == arrived:
		return ""
	case written.Tag == "!!null":
		return "null is no value; remove the key, or write '' for an empty text"
	default:
		return fmt.Sprintf("%s arrives as %s; write it in quotes: %q", written.Value, arrived, written.Value)
	}
}

// encrypted returns the text of a map whose one key is secure, which the engine takes for
// ciphertext.
func encrypted(written *yaml.Node) (string, bool) {
	if written.Kind != yaml.MappingNode || len(written.Content) != 2 || written.Content[0].Value != "secure" {
		return "", false
	}
	value := resolved(written.Content[1])
	return value.Value, value.Kind == yaml.ScalarNode
}

func checkCipher(cipher string) string {
	if ciphertext.MatchString(cipher) {
		return ""
	}
	return "a map with the one key secure is ciphertext to Pulumi (pulumi/pulumi#12632), and this is none; add another key to the map, " +
		"or encrypt the value with `pulumi config set --secret`"
}

// resolved is what an alias stands for.
func resolved(node *yaml.Node) *yaml.Node {
	if node.Kind == yaml.AliasNode {
		return node.Alias
	}
	return node
}

func prefixed(at, reason string) string {
	if at == "" || reason == "" {
		return reason
	}
	return at + ": " + reason
}
