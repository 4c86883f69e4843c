package random

import (
	"crypto/rand"
	"errors"
	"fmt"
	"math/big"
	"strings"
)

// The characters of a password by class; the special ones are the default of pulumi-random 4.19.0.
const (
	lowerCharacters   = "abcdefghijklmnopqrstuvwxyz"
	upperCharacters   = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	numericCharacters = "0123456789"
	specialCharacters = "!@#$%&*()-_=+[]{}<>:?"
)

// characterClass is a set of characters that a password may use, with the least number of them that
// it must have.
type characterClass struct {
	name       string
	characters string
	minimum    int
	enabled    bool
}

// password has the requirements in the inputs of a RandomPassword.
type password struct {
	length  int
	classes []characterClass
}

// validate returns every reason for which no such password can be made.
func (p password) validate() error {
	var broken []error
	if p.length < 1 {
		broken = append(broken, fmt.Errorf("length is %d; a password has at least 1 character", p.length))
	}
	needed, enabled := 0, 0
	for _, class := range p.classes {
		if class.minimum < 0 {
			broken = append(broken, fmt.Errorf("the minimum of %s characters is %d; use 0 or more", class.name, class.minimum))
			continue
		}
		if class.minimum > 0 && !class.usable() {
			broken = append(broken, fmt.Errorf(
				"at least %d %s characters are asked for, but %s characters are switched off; switch them on or drop the minimum",
				class.minimum, class.name, class.name))
		}
		if class.usable() {
			enabled++
		}
		needed += class.minimum
	}
	if needed > p.length {
		broken = append(broken, fmt.Errorf("length is %d, less than the %d characters that the minimums ask for", p.length, needed))
	}
	if enabled == 0 {
		broken = append(broken, errors.New("no class of characters is switched on; switch on lower, upper, numeric or special"))
	}
	return errors.Join(broken...)
}

func (c characterClass) usable() bool { return c.enabled && c.characters != "" }

// generate returns a new password from the operating system's random source.
func (p password) generate() (string, error) {
	var result []byte
	var all strings.Builder
	for _, class := range p.classes {
		if !class.usable() {
			continue
		}
		all.WriteString(class.characters)
		for range class.minimum {
			character, err := pick(class.characters)
			if err != nil {
				return "", err
			}
			result = append(result, character)
		}
	}
	for len(result) < p.length {
		character, err := pick(all.String())
		if err != nil {
			return "", err
		}
		result = append(result, character)
	}
	// This is Fisher-Yates, so that the required characters are not always in front.
	for i := len(result) - 1; i > 0; i-- {
		j, err := number(i + 1)
		if err != nil {
			return "", err
		}
		result[i], result[j] = result[j], result[i]
	}
	return string(result), nil
}

func pick(characters string) (byte, error) {
	i, err := number(len(characters))
	if err != nil {
		return 0, err
	}
	return characters[i], nil
}

// number returns an unbiased random number from 0 to below limit.
func number(limit int) (int, error) {
	n, err := rand.Int(rand.Reader, big.NewInt(int64(limit)))
	if err != nil {
		return 0, fmt.Errorf("random source of the operating system cannot be read: %w", err)
	}
	return int(n.Int64()), nil
}
