// Package secret reads passwords, keys and tokens from where a person put them:
// a file, or a variable of the environment. A file that others on the machine
// can read or change is refused with the command that mends it, as ssh does with
// a key. It neither keeps nor prints what it reads: its errors name the place
// only.
package secret
