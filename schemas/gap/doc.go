// Package gap finds records that went before a group had read them: they expired,
// their topic was recreated, or brokers lost its tail. It compares where a group left
// a partition (Place) with what the brokers have now (Log), says where to read on and
// what is missing (Gap), and words the dead letter. What to do about it, go on or
// stop, is the reader's.
//
// An offset does not say of which topic it is, and brokers forget what was committed of
// a topic that is deleted. So each commit of a group tells both (Topics): beside every
// offset, of which topic it is; and beside an offset of a topic that nobody has reason
// to delete (Keeper), of which topics all of them are.
package gap
