package broker

import (
	"errors"
	"fmt"

	"github.com/twmb/franz-go/pkg/sasl"
	"github.com/twmb/franz-go/pkg/sasl/plain"
	"github.com/twmb/franz-go/pkg/sasl/scram"

	"github.com/gpumeter/gpumeter/schemas/secret"
)

// Mechanisms of SASL.
const (
	Plain       = "PLAIN"
	ScramSHA256 = "SCRAM-SHA-256"
	ScramSHA512 = "SCRAM-SHA-512"
	OAuthBearer = "OAUTHBEARER"
	AWSMSKIAM   = "AWS_MSK_IAM"

	mechanisms = Plain + ", " + ScramSHA256 + ", " + ScramSHA512 + ", " + OAuthBearer + " or " + AWSMSKIAM
)

// SASL says who we are. The zero value says nothing. Secrets are named by their
// files and never given.
type SASL struct {
	Mechanism    string `koanf:"mechanism" doc:"PLAIN, SCRAM-SHA-256, SCRAM-SHA-512, OAUTHBEARER or AWS_MSK_IAM (credentials from AWS's environment or shared file)"`
	User         string `koanf:"user" doc:"name to authenticate as with PLAIN and SCRAM"`
	PasswordFile string `koanf:"password_file" doc:"file that holds the password: never in a config, an argument or the environment"`
	TokenFile    string `koanf:"token_file" doc:"file that holds the token of OAUTHBEARER; it is read at each authentication, so that it may be renewed"`
	OAuth        OAuth  `koanf:"oauth"`
}

// validate gives the first thing that is wrong. encrypted tells whether TLS is on.
func (s SASL) validate(encrypted bool) error {
	password, token := s.User != "" || s.PasswordFile != "", s.TokenFile != "" || s.OAuth != OAuth{}
	switch s.Mechanism {
	case "":
		if password || token {
			return errors.New("sasl: user, password_file, token_file or oauth without mechanism: name " + mechanisms)
		}
		return nil
	case ScramSHA256, ScramSHA512:
	case Plain, OAuthBearer, AWSMSKIAM:
		if !encrypted {
			return fmt.Errorf("sasl: %s without tls sends what lets in in clear: turn tls on or use SCRAM", s.Mechanism)
		}
	default:
		return fmt.Errorf("sasl: mechanism %q is not %s", s.Mechanism, mechanisms)
	}
	switch {
	case s.Mechanism == AWSMSKIAM && (password || token):
		return errors.New("sasl: AWS_MSK_IAM takes no user, password_file, token_file or oauth: its credentials are AWS's own (AWS_ACCESS_KEY_ID, or the shared file)")
	case s.Mechanism == AWSMSKIAM:
		return nil
	case s.Mechanism == OAuthBearer && password:
		return errors.New("sasl: OAUTHBEARER takes no user or password_file: the token says who we are")
	case s.Mechanism == OAuthBearer:
		return s.validateToken()
	case token:
		return fmt.Errorf("sasl: %s takes no token_file or oauth: name the mechanism OAUTHBEARER, or leave them out", s.Mechanism)
	case s.User == "" || s.PasswordFile == "":
		return fmt.Errorf("sasl: %s needs user and password_file", s.Mechanism)
	}
	return nil
}

// validateToken wants one way to a token.
func (s SASL) validateToken() error {
	asks := s.OAuth != OAuth{}
	if asks == (s.TokenFile != "") {
		return errors.New("sasl: OAUTHBEARER needs either token_file or oauth.token_url with oauth.client_id and oauth.client_secret_file")
	}
	if asks {
		return s.OAuth.validate()
	}
	return nil
}

// mechanism reads the secrets that s names.
func (s SASL) mechanism() (sasl.Mechanism, error) {
	switch s.Mechanism {
	case OAuthBearer:
		return s.bearer()
	case AWSMSKIAM:
		return iam()
	}
	pass, err := secret.File(s.PasswordFile)
	if err != nil {
		return nil, fmt.Errorf("sasl: password_file: %w", err)
	}
	switch s.Mechanism {
	case ScramSHA256:
		return scram.Auth{User: s.User, Pass: pass}.AsSha256Mechanism(), nil
	case ScramSHA512:
		return scram.Auth{User: s.User, Pass: pass}.AsSha512Mechanism(), nil
	default:
		return plain.Auth{User: s.User, Pass: pass}.AsMechanism(), nil
	}
}
