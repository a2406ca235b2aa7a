"""Raw sensors and words in, clean model input out."""
