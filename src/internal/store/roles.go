package store

import (
	"context"
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// authorizeLockID makes calls of Authorize take turns: two that change one role or table at once
// would fail with "tuple concurrently updated".
const authorizeLockID = 0x67726964_6f75

// Authorize lets a role read, insert and update the rows of all tables, and do nothing else: it
// owns none of them and cannot change, drop or create one. Call it after Migrate, as the role that
// owns the tables. With a password Authorize creates a missing role, and sets this password.
// Without one the role has to exist, as a role of Entra does. Authorize never revokes a right: the
// version before may still use it.
func (s *Store) Authorize(ctx context.Context, role, password string) error {
	err := pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `SELECT pg_advisory_xact_lock($1)`, int64(authorizeLockID)); err != nil {
			return err
		}
		var owner, exists bool
		err := tx.QueryRow(ctx, `SELECT current_user = $1, EXISTS (SELECT FROM pg_roles WHERE rolname = $1)`, role).Scan(&owner, &exists)
		switch {
		case err != nil:
			return err
		case owner:
			return errors.New("it is the role that owns the tables; give the service one of its own")
		case !exists && password == "":
			return errors.New("it is not there; create it, or give its password")
		}
		if password != "" {
			verb := "ALTER"
			if !exists {
				verb = "CREATE"
			}
			secret, err := verifier(password)
			if err != nil {
				return err
			}
			statement := fmt.Sprintf(`%s ROLE %s LOGIN PASSWORD '%s'`, verb, pgx.Identifier{role}.Sanitize(), secret)
			if _, err := tx.Exec(ctx, statement); err != nil {
				return err
			}
		}
		return grant(ctx, tx, pgx.Identifier{role}.Sanitize())
	})
	if err != nil {
		return fmt.Errorf("the role %q cannot be let in: %w", role, err)
	}
	return nil
}

// grant needs no rights on the partitions: PostgreSQL looks at those of the table that a statement
// names.
func grant(ctx context.Context, tx pgx.Tx, role string) error {
	rows, err := tx.Query(ctx, `
SELECT CASE c.relname WHEN 'goose_db_version' THEN 'SELECT' ELSE 'SELECT, INSERT, UPDATE' END || ' ON ' || c.oid::regclass
FROM pg_class c JOIN pg_class telemetry ON telemetry.oid = 'telemetry'::regclass AND c.relnamespace = telemetry.relnamespace
WHERE c.relkind IN ('r', 'p') AND c.relname !~ '^telemetry_[0-9]{8}$' AND pg_has_role(c.relowner, 'USAGE')
ORDER BY c.relname`)
	if err != nil {
		return err
	}
	rights, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return err
	}
	// A database that began with PostgreSQL 14 lets every role create tables (release notes of 15).
	statements := []string{`REVOKE CREATE ON SCHEMA public FROM PUBLIC`}
	for _, right := range rights {
		statements = append(statements, fmt.Sprintf(`GRANT %s TO %s`, right, role))
	}
	for _, statement := range statements {
		if _, err := tx.Exec(ctx, statement); err != nil {
			return err
		}
	}
	return nil
}

// verifier returns the text that PostgreSQL stores for a password (RFC 5803; PostgreSQL
// documentation, pg_authid). So the password itself is in no statement, and in no log of the
// server.
func verifier(password string) (string, error) {
	for _, character := range []byte(password) {
		if character < ' ' || character > '~' {
			return "", errors.New("its password has a character that is not printable ASCII; use another password")
		}
	}
	const iterations = 4096 // PostgreSQL's default
	salt := make([]byte, 16)
	_, _ = rand.Read(salt) // it never fails
	salted, err := pbkdf2.Key(sha256.New, password, salt, iterations, sha256.Size)
	if err != nil {
		return "", err
	}
	mac := func(text string) []byte {
		h := hmac.New(sha256.New, salted)
		h.Write([]byte(text))
		return h.Sum(nil)
	}
	stored := sha256.Sum256(mac("Client Key"))
	encode := base64.StdEncoding.EncodeToString
	return fmt.Sprintf("SCRAM-SHA-256$%d:%s$%s:%s", iterations, encode(salt), encode(stored[:]), encode(mac("Server Key"))), nil
}
