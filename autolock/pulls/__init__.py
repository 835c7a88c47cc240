"""Pull requests: what is to be proposed, what is proposed already, and the steps from one to the other."""
