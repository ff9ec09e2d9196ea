"""What single chapters try out: experiments of one chapter each, built from all the rest."""
