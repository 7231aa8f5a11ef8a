// Package rights lists what each component needs of the brokers, as ACLs, from
// what the components say that they use. It gives no rights; a person does, with
// the commands that it prints.
package rights
